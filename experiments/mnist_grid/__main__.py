"""`python -m experiments.mnist_grid`: see the package's docstring."""

from bnrepro.cli import command
from experiments.mnist_grid import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
