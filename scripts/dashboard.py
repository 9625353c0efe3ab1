"""A page of training curves, from the runs here and from the committed evidence.

    python -m scripts.dashboard                  write the page, and say where
    python -m scripts.dashboard --watch          serve it, and let it grow as experiments run
    make dashboard [WATCH=1] [ARGS="--results FOLDER"]

The page is one file that opens without a network.
"""

from pathlib import Path

from bnrepro import ROOT
from bnrepro.cli import Parser, guard
from bnrepro.dashboard.data import Runs, committed
from bnrepro.dashboard.page import build
from bnrepro.files import expand, write_atomically


def main() -> None:
    """Write the page, or serve it until Ctrl-C."""
    parser = Parser(prog="python -m scripts.dashboard", description=__doc__)
    parser.add_argument("--results", type=expand, default=Path("results/runs"), help="of the runs")
    parser.add_argument("--to", type=expand, help="the page (RESULTS/dashboard.html)")
    parser.add_argument("--watch", action="store_true", help="serve it and follow the runs")
    parser.add_argument("--port", type=int, default=8090, help="of the loopback interface; 0: any")
    options = parser.parse_args()
    if options.watch:
        from bnrepro.dashboard.serve import serve

        serve(options.results, options.port)
        return
    runs = Runs(options.results)
    runs.read()
    path = options.to or options.results / "dashboard.html"
    write_atomically(path, build([*runs.sets(), *committed(ROOT / "results")]))
    print(path.absolute())


if __name__ == "__main__":
    guard(main)
