"""`python -m experiments.covariate_shift`: see the package's docstring."""

from bnrepro.cli import command
from experiments.covariate_shift import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
