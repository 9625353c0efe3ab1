"""Figures, tables and pages from evidence. Each experiment has a module of its own name here:

gather, read, write   its evidence, from runs or from committed files, and to files
FIGURES               what draws each of its figures, by name
summary               its tables; `details`, where it has them: those for the file alone
answer                where its README line needs one: what came out, in a sentence
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from bnrepro.plots.style import save
from bnrepro.plots.tables import markdown
from bnrepro.run.record import write_atomically


def reporter(experiment: str) -> ModuleType:
    """The module that knows how to show an experiment."""
    return importlib.import_module(f"experiments.{experiment}.report")


def render(report: ModuleType, evidence: Any, folder: Path) -> list[Path]:
    """Figures and table.md, written into a folder; the paths in the order to look at them."""
    figures = report.FIGURES.items()
    paths = [path for name, draw in figures for path in save(draw(evidence), folder, name)]
    write_atomically(folder / "table.md", tables(report, evidence))
    return [*paths, folder / "table.md"]


def tables(report: ModuleType, evidence: Any) -> str:
    """All tables as Markdown."""
    details = report.details(evidence) if hasattr(report, "details") else []
    return "\n".join(markdown(table) for table in (*report.summary(evidence), *details))
