"""Figures and tables of an experiment, from its evidence to files."""

from pathlib import Path

from bnrepro.evidence.evidence import Evidence
from bnrepro.experiment import Experiment
from bnrepro.files import write_atomically, writing
from bnrepro.plots.style import save
from bnrepro.plots.tables import markdown


def render(experiment: Experiment, evidence: Evidence, folder: Path) -> list[Path]:
    """Write figures and table.md into a folder; the paths in the order to look at them."""
    figures = {name: draw(evidence) for name, draw in experiment.figures.FIGURES.items()}
    with writing(folder):
        paths = [path for name, drawn in figures.items() for path in save(drawn, folder, name)]
    write_atomically(folder / "table.md", table_file(experiment, evidence))
    return [*paths, folder / "table.md"]


def table_file(experiment: Experiment, evidence: Evidence) -> str:
    """The content of table.md."""
    return "\n".join(map(markdown, experiment.figures.tables(evidence)))
