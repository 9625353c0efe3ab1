"""`python -m experiments.gamma_beta`: see the package's docstring."""

from bnrepro.cli import command
from experiments.gamma_beta import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
