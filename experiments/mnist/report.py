"""What `make mnist` shows: Figure 1, the sheet of units and the table, from one evidence."""

from bnrepro.evidence.evidence import Evidence, gather, read, write
from bnrepro.plots.speed import speed_rows
from bnrepro.plots.tables import Table
from experiments.mnist.figures import FIGURES
from experiments.mnist.tables import PAIRS, seed_rows, summary_rows

__all__ = ["FIGURES", "gather", "read", "summary", "write"]


def summary(evidence: Evidence) -> list[Table]:
    """The tables a terminal shows."""
    return [summary_rows(evidence), speed_rows(evidence, PAIRS)]


def details(evidence: Evidence) -> list[Table]:
    """What table.md has beside them: every seed."""
    return [seed_rows(evidence, variant) for variant in evidence.variants]
