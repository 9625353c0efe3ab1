"""`python -m experiments.bias_growth`: see the package's docstring."""

from bnrepro.cli import command
from experiments.bias_growth import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
