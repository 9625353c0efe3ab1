"""Committed figures and tables drawn anew from the committed evidence; no run is needed.

python -m scripts.figures [experiment]
"""

import sys
from pathlib import Path

from joblib import Parallel, delayed

from bnrepro import ROOT
from bnrepro.cli import arguments, guard
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import read
from bnrepro.experiment import find, stems
from bnrepro.machine import cores
from bnrepro.plots.render import render


def main() -> None:
    """Draw the figures of one experiment, or of all."""
    stem, *more = arguments("an experiment, or none for all") if sys.argv[1:] else ["*"]
    if more:
        raise UserError(f"{' '.join(more)}: name one experiment, or none for all")
    folders = sorted(path.parent for path in (ROOT / "results").glob(f"{stem}/*/table.md"))
    folders = [folder for folder in folders if folder.parent.name in stems()]
    if not folders:
        raise UserError(f"{stem}: no published evidence; run the experiment and `make publish`")
    processes = min(cores(), len(folders))
    for paths in Parallel(processes, return_as="generator")(map(delayed(draw), folders)):
        for path in paths:
            print(path.relative_to(ROOT))


def draw(folder: Path) -> list[Path]:
    """The figures and the table of a folder of committed evidence; their paths."""
    return render(find(folder.parent.name), read(folder), folder)


if __name__ == "__main__":
    guard(main)
