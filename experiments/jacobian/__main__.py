"""`python -m experiments.jacobian`: see the package's docstring."""

from bnrepro.cli import command
from experiments.jacobian import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
