"""`python -m experiments.inference`: see the package's docstring."""

from bnrepro.cli import command
from experiments.inference import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
