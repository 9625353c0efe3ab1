"""`experiments.mnist_grid` end to end at scale=smoke: rounds, the winner, resuming, heat maps."""

import json
from pathlib import Path

import pytest

import experiments.mnist_grid.__main__ as experiment
from bnrepro.run.record import read_rows
from experiments.mnist_grid.__main__ import main
from scripts import render

SMOKE = ["scale=smoke", "variant=bn"]


def rows_without_time(folder: Path) -> list[dict]:
    return [
        {k: v for k, v in row.items() if k != "wall_s"}
        for path in sorted(folder.glob("*/metrics.jsonl"))
        for row in read_rows(path)
    ]


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The results folder of a finished smoke grid of the arm with BN."""
    results = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["grid", *SMOKE, f"results={results}"])
        main()
    return results


def test_the_winner_is_the_best_finalist_on_held_out_images(grid):
    folder = grid / "mnist_grid/smoke/bn"
    summary = json.loads((folder / "summary.json").read_text())
    finals = [r for p in folder.glob("finalist*/metrics.jsonl") for r in read_rows(p)]
    best = max(finals, key=lambda row: (row["step"], row["test_accuracy"]))
    assert summary["winner"]["score"] == best["test_accuracy"]
    assert (summary["winner"]["lr"], summary["winner"]["std"]) == (best["lr"], best["init_std"])
    meta = json.loads((folder / "grid/meta.json").read_text())
    assert meta["data"]["sizes"] == {"train": 1000, "validation": 200}
    cells = {(r["lr"], r["init_std"]) for r in read_rows(folder / "grid/metrics.jsonl")}
    assert len(cells) == 10


def test_an_interrupted_grid_resumes_to_the_same_rows(grid, run, tmp_path, monkeypatch):
    arguments = [*SMOKE, f"results={tmp_path}"]

    def interrupt(trainer, losses, probe_x, measure=experiment.measure):
        if trainer.step == 20:
            raise KeyboardInterrupt
        return measure(trainer, losses, probe_x)

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "measure", interrupt)
        assert run(main, arguments) == 130
    assert run(main, arguments) == 0
    place = "mnist_grid/smoke/bn"
    assert rows_without_time(tmp_path / place) == rows_without_time(grid / place)


def test_heat_maps_name_the_data(grid, run, capsys):
    assert run(render.main, ["mnist_grid", "scale=smoke", f"results={grid}"]) == 0
    assert "heat-maps.png" in capsys.readouterr().out
    assert "synthetic: " in (grid / "mnist_grid/smoke/figures/heat-maps.svg").read_text()
