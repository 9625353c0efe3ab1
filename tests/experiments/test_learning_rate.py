"""Learning rates: the largest that trains, how networks fail beyond it, the sweep end to end."""

import math
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.config import compose
from bnrepro.config.rules import validate_fields
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, load, read, write
from bnrepro.evidence.statistics import Above
from bnrepro.evidence.verdicts import judge
from bnrepro.plots.render import render
from bnrepro.run.record import read_rows
from experiments.learning_rate import EXPERIMENT, figures, tables
from experiments.learning_rate.__main__ import main
from experiments.learning_rate.metrics import (
    log_rate_ratio,
    log_ratio_growth,
    log_steps_ratio,
    log_weight_ratio,
)
from tests.drawing import call, drawn, evidence_of, legend
from tests.experiments.killed import rows_without_time, run_and_die, undisturbed_run

SMOKE = ["scale=smoke"]
CELL = {"activation": "relu", "depth": 3, "width": 100}
RATES = (0.1, 1.0, 10.0, 100.0)


def row(arm: str, lr: float, seed: int, trained: bool, **more: object) -> dict:
    """A network that trains or does not, at the last stop unless `more` says another."""
    return {
        "activation": "relu", "arm": arm, "depth": 3, "width": 100, "lr": lr, "seed": seed,
        "step": 20, "outcome": "trained" if trained else "collapsed", "train_loss": 1.0,
        "test_accuracy": 0.8 if trained else 0.1, "effective_step": lr / 4, **more,
    }  # fmt: skip


def evidence(largest: dict[tuple[str, int], float], **more: object) -> Evidence:
    """Networks that train up to a rate, which depends on the arm and the seed."""
    rows = [
        row(arm, lr, seed, lr <= limit, **more)
        for (arm, seed), limit in largest.items()
        for lr in RATES
    ]
    return Evidence(relu=rows)


def ends(plain: tuple[float, float], bn: tuple[float, float]) -> dict[tuple[str, int], float]:
    return {("baseline", 0): plain[0], ("baseline", 1): plain[1], ("bn", 0): bn[0],
            ("bn", 1): bn[1]}  # fmt: skip


def test_the_ratio_is_that_of_the_largest_rates_of_each_seed():
    values = log_rate_ratio(evidence(ends((0.1, 1.0), (10.0, 10.0))), CELL)
    assert values == pytest.approx([math.log(100), math.log(10)])
    assert not any(isinstance(value, Above) for value in values)


def test_the_ratio_is_a_bound_at_the_grids_end_and_without_a_plain_network_that_trains():
    values = log_rate_ratio(evidence(ends((1.0, 0.0), (100.0, 10.0))), CELL)
    assert values == pytest.approx([math.log(100), math.log(100)])
    assert all(isinstance(value, Above) for value in values)
    assert log_rate_ratio(evidence(ends((1.0, 1.0), (0.0, 1.0))), CELL) == [None, 0.0]
    (bound, _) = log_rate_ratio(evidence(ends((100.0, 1.0), (10.0, 1.0))), CELL)
    assert (bound, type(bound)) == (-math.inf, Above)  # nothing is known of the plain network's


def test_the_survivors_of_a_network_have_no_mean_in_the_figure():
    bars = [
        len(drawn_ratios(evidence(ends((1.0, 1.0), bn))).containers)
        for bn in ((10.0, 10.0), (10.0, 0.0))
    ]
    assert bars == [1, 0]


def drawn_ratios(found: Evidence) -> Axes:
    """The panel of ratios."""
    axis = Figure().add_subplot()
    figures.ratio_panel(axis, found)
    return axis


def test_the_answer_has_the_ratio_at_most_of_the_accuracy_too():
    said = figures.answer(load("learning_rate", "small"))
    assert (
        "3 layers of 100: the largest rate that trains is 15.8 [11.5, 21.8] times as high" in said
    )
    assert "the largest that trains to 90% of an arm's best accuracy 10.0 times" in said


def test_a_network_above_chance_whose_loss_is_that_of_guessing_does_not_train():
    rows = evidence(ends((1.0, 1.0), (10.0, 10.0))).relu
    for each in rows:
        if (each["arm"], each["lr"]) == ("bn", 10.0):
            each["train_loss"] = 2.4
    assert log_rate_ratio(Evidence(relu=rows), CELL) == [0.0, 0.0]


def test_the_growth_with_depth_is_the_difference_of_two_ratios():
    deep = evidence(ends((0.1, 0.1), (10.0, 100.0)), depth=8).relu
    shallow = evidence(ends((1.0, 0.1), (10.0, 1.0)), depth=1).relu
    claim = {"activation": "relu", "width": 100, "deep": 8, "shallow": 1}
    values = log_ratio_growth(Evidence(relu=[*deep, *shallow]), claim)
    assert values == pytest.approx([math.log(10), math.log(100)])
    assert [isinstance(value, Above) for value in values] == [False, True]


def test_each_arm_runs_at_the_rate_that_the_other_seeds_losses_choose():
    rows = []
    for arm, best, steps in (("baseline", 1.0, 20), ("bn", 10.0, 5)):
        for seed in (0, 1):
            for lr in RATES:
                loss = 0.5 if lr == best else 1.0
                accuracy = [0.3, 0.9 if lr == best and steps == 5 else 0.4, 0.9]
                for step, value in zip((2, 5, 20), accuracy, strict=True):
                    more = {"step": step, "train_loss": loss, "test_accuracy": value}
                    rows.append(row(arm, lr, seed, True, **more))
    assert log_steps_ratio(Evidence(relu=rows), CELL) == pytest.approx([math.log(4)] * 2)


def test_the_weight_ratio_is_that_of_rate_over_effective_step():
    rows = evidence(ends((1.0, 1.0), (10.0, 10.0))).relu
    for each in rows:
        each["effective_step"] = each["lr"] / (8 if each["arm"] == "bn" else 4)
    assert log_weight_ratio(Evidence(relu=rows), CELL) == pytest.approx([math.log(2)] * 2)
    assert log_weight_ratio(evidence(ends((0.0, 1.0), (1.0, 1.0))), CELL)[0] is None


def test_the_table_counts_how_networks_end_beyond_their_largest_rate():
    rows = evidence(ends((1.0, 1.0), (10.0, 10.0))).relu
    for each in rows:
        lost = each["arm"] == "baseline" and each["lr"] == 100.0
        each["dead_worst"] = 0.6 if lost else 0.1
    (header, plain, bn) = tables.failure_table(Evidence(relu=rows))
    assert header[2:] == ["untrained, %", "saturated, %", "dead, %", "non-finite, %"]
    assert plain[1:] == ["4", "50", "0", "50", "0"]
    assert bn[1:] == ["2", "100", "0", "0", "0"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """The results folder of a finished smoke sweep."""
    results = tmp_path_factory.mktemp("rates")
    call(main, [*SMOKE, f"results={results}"])
    return results


def test_a_sweep_leaves_every_network_and_stop(sweep):
    rows = read_rows(sweep / "learning_rate/smoke/sweep/metrics.jsonl")
    cfg = compose("learning_rate", SMOKE)
    assert len(rows) == 2 * 2 * 2 * 3 * 2 * 2  # activations, arms, networks, rates, seeds, stops
    assert {row["step"] for row in rows} == set(cfg.stops)
    lost = [row for row in rows if row["lr"] == 1e30]
    ends = {row["first_non_finite"] for row in lost if row["outcome"] == "non-finite"}
    assert ends
    assert max(ends) <= 30
    assert all(row["outcome"] != "trained" for row in lost)


def test_figures_tables_and_verdicts_stand_on_the_sweep(sweep, tmp_path):
    found = evidence_of("learning_rate", [*SMOKE, f"results={sweep}"])
    write(found, tmp_path)
    again = read(tmp_path)
    shown = drawn("learning_rate", again)
    assert [a.get_title() for a in shown["rates"].axes][:2] == [
        "sigmoid, 2 layers of 8",
        "ReLU, 2 layers of 8",
    ]
    assert legend(shown["failures"]) == list(figures.STATES)
    assert all(len(figure.axes) <= 3 for figure in shown.values())
    render(EXPERIMENT, again, tmp_path / "figures")
    assert "times as high with BN" in figures.answer(again)
    claim = {**CELL, "depth": 2, "width": 8, "metric": "log_rate_ratio", "n": 2, "id": "x",
             "experiment": "learning_rate", "kind": "statistical",
             "criterion": {"over": "interval", "op": ">", "value": 0}}  # fmt: skip
    assert judge(claim, again, "smoke").verdict == "inconclusive"  # two seeds decide nothing


@pytest.mark.thorough
def test_a_killed_sweep_goes_on_after_its_last_complete_cell(tmp_path):
    arguments = [*SMOKE, "sweep.relu.lr=[0.1]", "sweep.sigmoid.lr=[0.1]"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed_run("learning_rate", [*arguments, f"results={whole}"])
    run_and_die("learning_rate", "row", 11, [*arguments, f"results={killed}"])
    undisturbed_run("learning_rate", [*arguments, f"results={killed}"])
    folders = [next((each / "learning_rate/smoke").iterdir()) for each in (whole, killed)]
    first, second = map(rows_without_time, folders)
    assert first == second != []


def test_a_rate_that_is_no_number_is_named():
    with pytest.raises(UserError, match=r"sweep\.relu\.lr=-1: must not be negative"):
        validate_fields(compose("learning_rate", [*SMOKE, "sweep.relu.lr=[-1]"]))
