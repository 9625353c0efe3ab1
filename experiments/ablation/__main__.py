"""`python -m experiments.ablation`: see the package's docstring."""

from bnrepro.cli import command
from experiments.ablation import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
