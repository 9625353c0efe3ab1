"""`python -m experiments.mnist`: see the package's docstring."""

from bnrepro.cli import command
from experiments.mnist import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
