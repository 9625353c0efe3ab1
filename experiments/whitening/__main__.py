"""`python -m experiments.whitening`: see the package's docstring."""

from bnrepro.cli import command
from experiments.whitening import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
