"""The runs here as a live table in the terminal: how far, how long still, accuracy so far.

python -m scripts.watch                     arms that run or did not end well; Ctrl-C ends it
python -m scripts.watch --all               every arm
"""

import contextlib
import sys
from pathlib import Path

from rich.console import Console

from bnrepro.cli import Parser, guard
from bnrepro.dashboard.data import Runs
from bnrepro.dashboard.terminal import watch
from bnrepro.files import expand


def main() -> None:
    """Show the table that the command line asks for."""
    parser = Parser(prog="python -m scripts.watch", description=__doc__)
    parser.add_argument("--results", type=expand, default=Path("results/runs"), help="of the runs")
    parser.add_argument("--all", action="store_true", help="finished arms too")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    with contextlib.suppress(KeyboardInterrupt):
        watch(Runs(options.results), console, options.all)


if __name__ == "__main__":
    guard(main)
