"""Committed figures and tables drawn anew from the committed evidence; no run is needed.

python -m scripts.figures [experiment]
"""

import sys

from bnrepro.cli import arguments, guard
from bnrepro.config import ROOT
from bnrepro.plots.render import render, reporter


def main() -> None:
    stem = arguments("an experiment, or none for all")[0] if sys.argv[1:] else "*"
    for folder in sorted(path.parent for path in (ROOT / "results").glob(f"{stem}/*/table.md")):
        report = reporter(folder.parent.name)
        for path in render(report, report.read(folder), folder):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    guard(main)
