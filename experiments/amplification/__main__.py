"""`python -m experiments.amplification`: see the package's docstring."""

from bnrepro.cli import command
from experiments.amplification import EXPERIMENT

main = command(EXPERIMENT)

if __name__ == "__main__":
    main()
