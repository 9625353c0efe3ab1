"""`python -m experiments.initialization`: see the package's docstring."""

from bnrepro.cli import command
from experiments.initialization import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
