"""`python -m experiments.learning_rate`: see the package's docstring."""

from bnrepro.cli import command
from experiments.learning_rate import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
