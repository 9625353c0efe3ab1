"""Committed figures and tables drawn anew from the committed evidence; no run is needed.

python -m scripts.figures [experiment …]
"""

import sys

from bnrepro.app import guard
from bnrepro.config import ROOT
from bnrepro.report import render, reporter


def main() -> None:
    for folder in sorted(path.parent for path in (ROOT / "results").glob("*/*/table.md")):
        if folder.parent.name in (sys.argv[1:] or [folder.parent.name]):
            report = reporter(folder.parent.name)
            for path in render(report, report.read(folder), folder):
                print(path.relative_to(ROOT))


if __name__ == "__main__":
    guard(main)
