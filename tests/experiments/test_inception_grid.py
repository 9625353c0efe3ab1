"""The searches for Section 4.2's base rate and decay: end to end at scale=smoke, and their rule."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from bnrepro.config import compose, variants
from bnrepro.evidence import Evidence
from experiments.inception_grid.__main__ import main
from experiments.inception_grid.figures import run_rows
from experiments.inception_grid.gather import gather_searches
from experiments.inception_grid.measure import cell_config
from experiments.inception_grid.metrics import chosen_speed, plain_target
from scripts import render
from tests.drawing import call, drawn, evidence_of, tables_of
from tests.test_config import differences

SMOKE = ["scale=smoke", "grid.axes.lr=[0.01,0.02]", "grid.max_extensions=1", "grid.finalists=1"]


@pytest.fixture(scope="module")
def rate(tmp_path_factory) -> Path:
    """The folder of a finished search for the base rate."""
    results = tmp_path_factory.mktemp("rate")
    call(main, [*SMOKE, "variant=rate", f"results={results}"])
    (folder,) = (results / "inception_grid/smoke").iterdir()
    return folder


@pytest.fixture(scope="module")
def searches(tmp_path_factory) -> Evidence:
    """All three searches over two values each, as if that were what the named configs say."""
    results = tmp_path_factory.mktemp("searches")
    short = {
        "rate": ["grid.axes.lr=[0.01,0.02]", "grid.max_extensions=0", "grid.finalists=1"],
        "fast": ["grid.axes.fast=[2,6]"],
        "multiplier": ["grid.axes.multiplier=[1,5]"],
    }
    for variant, axis in short.items():
        call(main, ["scale=smoke", f"variant={variant}", *axis, f"results={results}"])
        (folder,) = (results / "inception_grid/smoke").glob(f"{variant}-*")
        folder.rename(folder.with_name(variant))
    call(render.main, ["inception_grid", "scale=smoke", f"results={results}"])
    return evidence_of("inception_grid", ["scale=smoke", f"results={results}"])


def steps(folder: Path) -> int:
    return json.loads(next(folder.rglob("summary.json")).read_text())["steps"]


def test_the_rate_is_searched_short_then_extended_then_in_full(rate):
    summary = json.loads((rate / "summary.json").read_text())
    rounds = {p.name: sorted(float(v.name) for v in p.iterdir()) for p in rate.glob("*/")}
    assert rounds["grid"] == [0.01, 0.02]
    assert rounds["extension-1"] in ([0.005], [0.04])  # two values: the best is at an edge
    assert summary["winner"]["lr"] in [0.005, 0.01, 0.02, 0.04]
    assert summary["winner"]["score"] == summary["rounds"]["finalists"][0][-1]
    assert (steps(rate / "grid"), steps(rate / "finalists")) == (3, 12)
    data = json.loads(next(rate.rglob("meta.json")).read_text())["data"]
    assert data["sizes"] == {"train": 1000, "validation": 200}


def test_a_search_records_what_each_round_trained(rate):
    rounds = json.loads((rate / "summary.json").read_text())["rounds"]
    assert [value for value, _ in rounds["grid"]] == [0.01, 0.02]
    assert list(rounds) == ["grid", "extension-1", "finalists"]
    for name, cells in rounds.items():
        for value, score in cells:
            (path,) = (rate / name / f"{value:g}").glob("seed-*/summary.json")
            assert json.loads(path.read_text())["final"]["test_accuracy_all"] == score


def test_a_search_of_which_a_run_is_damaged_or_lost_is_left_out(rate, tmp_path, caplog):
    shutil.copytree(rate, folder := tmp_path / "rate")
    assert gather_searches({"rate": folder}).variants == ["rate"]
    (path,) = (folder / "grid/0.01").rglob("metrics.jsonl")
    path.write_bytes(path.read_bytes()[:-9])
    assert gather_searches({"rate": folder}).variants == []
    assert f"{path}: damaged" in caplog.text
    shutil.rmtree(folder / "grid/0.01")
    assert gather_searches({"rate": folder}).variants == []
    assert f"{folder}/grid/0.01: no run here" in caplog.text


def test_an_overridden_search_is_shown(rate, run):
    arguments = [*SMOKE, "variant=rate", f"results={rate.parents[2]}"]
    assert run(render.main, ["inception_grid", *arguments]) == 0
    (path,) = rate.parent.glob("figures-*/table.md")
    assert path.parent.name.removeprefix("figures") == rate.name.removeprefix("rate")
    (runs,) = tables_of(path)
    assert len(runs) == 1 + 2 + 1 + 1


def test_the_table_has_a_row_a_run_and_marks_what_was_chosen(searches):
    header, *rows = run_rows(searches)
    assert [row[0] for row in rows] == (
        ["Inception, base rate"] * 3
        + ["BN-x5, decay faster by"] * 2
        + ["BN-x5's network, multiple of the base rate"] * 2
    )
    assert header[-1] == "steps to Inception's best"
    winner = next(run["value"] for run in searches.runs if run["variant"] == "rate")
    assert {row[1] for row in rows[:3] if "★" in row[1]} == {f"{winner:g} ★"}
    speed = chosen_speed(searches)
    assert {row[1] for row in rows[3:5] if "★" in row[1]} == {f"{speed:g} ★"}
    assert not any("★" in row[1] for row in rows[5:])


def test_the_figure_has_the_runs_of_every_search(searches):
    figure = drawn("inception_grid", searches)["searches"]
    multiplier, rate, fast = figure.axes
    assert [axis.get_title()[:3] for axis in figure.axes] == ["(a)", "(b)", "(c)"]
    short, full = rate.get_lines()[:2]
    assert list(short.get_xdata()) == [0.01, 0.02]
    assert len(full.get_xdata()) == 1
    shown = {row["value"]: row["final_test_accuracy_all"] for row in searches.cells[:2]}
    assert dict(zip(*short.get_data(), strict=True)) == pytest.approx(
        {value: 100 * accuracy for value, accuracy in shown.items()}
    )
    labels = [line.get_label().split(",")[0] for line in fast.get_lines()]
    assert labels[:2] == ["2 times", "6 times"]
    ticks = {text.get_text() for text in multiplier.get_xticklabels()}
    assert {"1", "5"} <= ticks
    alone = Evidence(**searches.tables | {"cells": searches.where("cells", variant="fast")})
    assert len(drawn("inception_grid", alone)["searches"].axes) == 1


def test_runs_of_an_earlier_search_in_the_same_folder_are_not_gathered(run, tmp_path):
    arguments = ["scale=smoke", "variant=fast", "grid.axes.fast=[2]", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    (folder,) = (tmp_path / "inception_grid/smoke").iterdir()
    shutil.copytree(folder / "grid/2", folder / "grid/6")
    shutil.copytree(folder / "grid", folder / "extension-1")
    evidence = gather_searches({"fast": folder})
    assert [(c["round"], c["value"]) for c in evidence.cells] == [("grid", 2)]


def test_an_unknown_key_is_no_search(run, capsys, tmp_path):
    axis = ["+grid.axes.momentum=[0.5]", "+grid.factors.momentum=2"]
    assert run(main, ["scale=smoke", "variant=rate", *axis, f"results={tmp_path}"]) == 2
    assert "grid.axes: lr, momentum: give one of lr, fast" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variant", variants("inception_grid"))
def test_a_cell_changes_its_key_and_the_budget_alone(variant):
    cfg = compose("inception_grid", [f"variant={variant}"])
    before = asdict(cfg)
    (key,) = cfg.grid.axes
    cell = cell_config(cfg, 7.0, 0.5)
    changed = {"lr": "optim.lr", "fast": "budget.fast", "multiplier": "optim.multiplier"}[key]
    assert differences(before, asdict(cell)) == {changed, "budget.steps"}
    section, name = changed.split(".")
    assert getattr(getattr(cell, section), name) == 7.0
    assert cell.budget.steps == cfg.budget.steps / 2
    assert asdict(cfg) == before


def made_up(best: dict[float, float]) -> Evidence:
    plain = [("finalists", 0.02, 0.80), ("finalists", 0.04, 0.90), ("grid", 0.04, 0.70)]
    cells = [
        {"variant": "rate", "round": r, "value": v, "seed": 0, "best_test_accuracy": a}
        for r, v, a in plain
    ]
    cells += [
        {"variant": "fast", "round": "grid", "value": v, "seed": 0, "best_test_accuracy": a}
        for v, a in best.items()
    ]
    return Evidence(runs=[{"variant": "rate", "value": 0.04}], cells=cells)


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


def test_without_the_rate_s_search_no_decay_is_chosen():
    assert chosen_speed(Evidence(runs=[], cells=made_up({1: 0.95}).cells)) is None
