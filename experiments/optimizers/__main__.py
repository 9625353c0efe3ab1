"""`python -m experiments.optimizers`: see the package's docstring."""

from bnrepro.cli import command
from experiments.optimizers import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
