"""`python -m experiments.regularization`: see the package's docstring."""

from bnrepro.cli import command
from experiments.regularization import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
