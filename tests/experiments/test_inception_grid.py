"""The searches for Section 4.2's base rate and decay: end to end at scale=smoke, and their rule."""

import json
import shutil

import pytest

from bnrepro.config import compose, variants
from bnrepro.evidence.search_evidence import (
    SearchEvidence,
    chosen_speed,
    gather,
    plain_target,
    read,
    write,
)
from experiments.inception_grid.__main__ import cell, main
from scripts import render

SMOKE = ["scale=smoke", "grid.values=[0.01,0.02]", "grid.max_extensions=1", "grid.finalists=1"]


def test_the_rate_is_searched_short_then_extended_then_in_full(run, tmp_path):
    assert run(main, [*SMOKE, "variant=rate", f"results={tmp_path}"]) == 0
    (folder,) = (tmp_path / "inception_grid/smoke").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    rounds = {p.name: sorted(float(v.name) for v in p.iterdir()) for p in folder.glob("*/")}
    assert rounds["grid"] == [0.01, 0.02]
    assert rounds["extension-1"] in ([0.005], [0.04])  # two values: the best is at an edge
    assert summary["best"]["value"] in [0.005, 0.01, 0.02, 0.04]
    steps = {
        name: json.loads(next((folder / name).rglob("summary.json")).read_text())["steps"]
        for name in ("grid", "finalists")
    }
    assert steps == {"grid": 3, "finalists": 12}
    data = json.loads(next(folder.rglob("meta.json")).read_text())["data"]
    assert data["sizes"] == {"train": 1000, "validation": 200}


def test_the_figure_and_the_table_come_from_the_runs(run, tmp_path):
    for variant, values in (("rate", "0.01,0.02"), ("fast", "2,6"), ("multiplier", "1,5")):
        short = [f"variant={variant}", f"grid.values=[{values}]", f"results={tmp_path}"]
        if variant == "rate":
            short += ["grid.factor=1", "grid.finalists=1"]
        assert run(main, ["scale=smoke", *short]) == 0
        (folder,) = (tmp_path / "inception_grid/smoke").glob(f"{variant}-*")
        folder.rename(folder.with_name(variant))  # as if it were the named config
    assert run(render.main, ["inception_grid", "scale=smoke", f"results={tmp_path}"]) == 0
    folder = tmp_path / "inception_grid/smoke/figures"
    assert (folder / "searches.png").stat().st_size > 10_000
    assert len((folder / "table.md").read_text().splitlines()) == 2 + 3 + 2 + 2


def test_runs_of_an_earlier_search_in_the_same_folder_are_not_gathered(run, tmp_path):
    arguments = ["scale=smoke", "variant=fast", "grid.values=[2]", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    (folder,) = (tmp_path / "inception_grid/smoke").iterdir()
    shutil.copytree(folder / "grid/2", folder / "grid/6")
    shutil.copytree(folder / "grid", folder / "extension-1")
    evidence = gather({"fast": folder})
    assert [(c["round"], c["value"]) for c in evidence.cells] == [("grid", 2)]


def test_an_extended_search_records_what_each_round_trained_and_is_shown_alone(run, tmp_path):
    assert run(main, [*SMOKE, "variant=rate", f"results={tmp_path}"]) == 0
    (folder,) = (tmp_path / "inception_grid/smoke").iterdir()
    rounds = json.loads((folder / "summary.json").read_text())["rounds"]
    assert list(rounds["grid"]) == ["0.01", "0.02"]
    assert len(rounds["extension-1"]) == len(rounds["finalists"]) == 1
    assert run(render.main, ["inception_grid", *SMOKE, f"results={tmp_path}"]) == 0


def test_an_unknown_key_is_no_search(run, capsys):
    assert run(main, ["scale=smoke", "variant=rate", "grid.key=optim.rate"]) == 2
    assert "grid.key=optim.rate" in capsys.readouterr().err


def test_a_cell_changes_its_key_and_the_budget_alone():
    for variant in variants("inception_grid"):
        cfg = compose("inception_grid", [f"variant={variant}"])
        own = cell(cfg, 7.0, 0.5)
        section, name = cfg.grid.key.split(".")
        assert getattr(getattr(own, section), name) == 7.0
        assert own.budget.steps == cfg.budget.steps / 2
        assert getattr(getattr(cfg, section), name) != 7.0


def made_up(best: dict[float, float]) -> SearchEvidence:
    plain = [("finalists", 0.02, 0.80), ("finalists", 0.04, 0.90), ("grid", 0.04, 0.70)]
    cells = [
        {"variant": "rate", "round": r, "value": v, "seed": 0, "best_test_accuracy": a}
        for r, v, a in plain
    ]
    cells += [
        {"variant": "fast", "round": "grid", "value": v, "seed": 0, "best_test_accuracy": a}
        for v, a in best.items()
    ]
    return SearchEvidence(cells=cells, winners={"rate": {"value": 0.04}})


@pytest.mark.parametrize(
    ("best", "chosen"),
    [
        ({1: 0.95, 2: 0.93, 3: 0.90, 6: 0.85}, 3),
        ({1: 0.95, 2: 0.89, 3: 0.91, 6: 0.85}, 3),
        ({1: 0.80, 2: 0.70}, 1),
        ({1: 0.95, 6: 0.92}, 6),
    ],
)
def test_the_fastest_decay_that_still_reaches_the_plain_networks_best_is_chosen(best, chosen):
    evidence = made_up(best)
    assert plain_target(evidence) == 0.90
    assert chosen_speed(evidence) == chosen


def test_what_is_written_is_read_back(tmp_path):
    evidence = made_up({1: 0.5})
    write(evidence, tmp_path)
    assert read(tmp_path) == evidence
