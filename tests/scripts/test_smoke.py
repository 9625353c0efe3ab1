"""`make smoke`: every experiment end to end, and one that fails is named with what it said."""

import pytest

from bnrepro.cli import guard
from scripts import smoke


@pytest.fixture(autouse=True)
def one_experiment(monkeypatch):
    monkeypatch.setattr(smoke, "stems", lambda: ["architecture"])


def test_an_experiment_runs_and_is_drawn(run, tmp_path, capsys):
    assert run(smoke.main, [f"results={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("architecture: done in ")
    assert out.endswith(" s, 1 of 1\n")
    assert (tmp_path / "architecture/smoke/figures/table.md").exists()


def test_one_that_fails_is_named_with_what_it_said(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr("sys.argv", ["smoke", f"results={tmp_path}/file"])
    with pytest.raises(SystemExit, match="error: architecture failed"):
        smoke.main()
    assert "Not a directory" in capsys.readouterr().out


def test_a_mistake_ends_before_anything_runs(run, capsys):
    assert run(lambda: guard(smoke.main), ["optim.lrr=3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: optim: no such key")
