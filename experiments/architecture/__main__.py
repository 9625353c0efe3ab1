"""`python -m experiments.architecture`: see the package's docstring."""

from bnrepro.cli import command
from experiments.architecture import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
