"""`python -m experiments.scale_invariance`: see the package's docstring."""

from bnrepro.cli import command
from experiments.scale_invariance import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
