"""`python -m experiments.speedup`: see the package's docstring."""

from bnrepro.cli import command
from experiments.speedup import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
