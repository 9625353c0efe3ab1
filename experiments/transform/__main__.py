"""`python -m experiments.transform`: see the package's docstring."""

from bnrepro.cli import command
from experiments.transform import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
