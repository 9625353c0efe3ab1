"""Committed figures and tables drawn anew from the committed evidence; no run is needed.

python -m scripts.figures [experiment]
"""

import sys

from bnrepro import ROOT
from bnrepro.cli import arguments, guard
from bnrepro.evidence.evidence import read
from bnrepro.experiment import find
from bnrepro.plots.render import render


def main() -> None:
    """Draw the figures of one experiment, or of all."""
    stem = arguments("an experiment, or none for all")[0] if sys.argv[1:] else "*"
    for folder in sorted(path.parent for path in (ROOT / "results").glob(f"{stem}/*/table.md")):
        for path in render(find(folder.parent.name), read(folder), folder):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    guard(main)
