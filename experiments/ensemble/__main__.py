"""`python -m experiments.ensemble`: see the package's docstring."""

from bnrepro.cli import command
from experiments.ensemble import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
