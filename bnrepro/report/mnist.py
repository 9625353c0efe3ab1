"""What `make mnist` shows: Figure 1, the sheet of units and the table, from one evidence."""

from pathlib import Path

from bnrepro.analysis.evidence import Evidence, gather, read, write
from bnrepro.report.markdown import Table
from bnrepro.report.mnist_figures import FIGURES
from bnrepro.report.mnist_table import PAIRS, summary_rows, table
from bnrepro.report.speed import speed_rows
from bnrepro.report.style import save

__all__ = ["gather", "read", "render", "summary", "write"]


def render(evidence: Evidence, folder: Path) -> list[Path]:
    """Figures and table.md, written into a folder; the paths in the order to look at them."""
    paths = [p for name, draw in FIGURES.items() for p in save(draw(evidence), folder, name)]
    (folder / "table.md").write_text(table(evidence))
    return [*paths, folder / "table.md"]


def summary(evidence: Evidence) -> list[Table]:
    """The tables a terminal shows."""
    return [summary_rows(evidence), speed_rows(evidence, PAIRS)]
