"""`make figures`: committed figures and tables drawn anew from the committed rows."""

import shutil
from pathlib import Path

import pytest

from bnrepro import ROOT
from bnrepro.errors import UserError
from scripts import figures
from tests.drawing import more


@pytest.fixture
def results(monkeypatch, tmp_path):
    """A copy of one experiment's committed evidence, beside a figure that `make compare` made."""
    committed = tmp_path / "results/scale_invariance/small"
    shutil.copytree(ROOT / "results/scale_invariance/small", committed)
    comparison = tmp_path / "results/runs/compare/table.md"
    comparison.parent.mkdir(parents=True)
    comparison.write_text("a table of runs\n")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    return committed


def without_evidence(folder: Path) -> list[Path]:
    """The files that are drawn from the rows."""
    kept = (".csv", ".gz", ".txt")
    return sorted(path for path in folder.iterdir() if path.suffix not in kept)


@pytest.mark.parametrize("arguments", [["scale_invariance"], *more(([],))])
def test_the_figures_and_the_table_come_back_from_the_rows_alone(arguments, results, run, capsys):
    drawn = without_evidence(results)
    table = (results / "table.md").read_bytes()
    for path in drawn:
        if path.name != "table.md":
            path.unlink()
    (results / "table.md").write_text("out of date\n")
    assert run(figures.main, arguments) == 0
    assert without_evidence(results) == drawn
    assert (results / "table.md").read_bytes() == table
    assert len(capsys.readouterr().out.split()) == len(drawn)


def test_an_unknown_experiment_is_named(run):
    with pytest.raises(UserError, match="name an experiment"):
        run(figures.main, ["jacobean"])
