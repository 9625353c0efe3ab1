"""`python -m experiments.inception`: see the package's docstring."""

from bnrepro.cli import command
from experiments.inception import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
