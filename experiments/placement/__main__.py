"""`python -m experiments.placement`: see the package's docstring."""

from bnrepro.cli import command
from experiments.placement import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
