"""`experiments.speedup`: its metrics on made-up cells, the cells of a config, and a smoke run."""

import math

import pytest

from bnrepro.config import compose
from bnrepro.config.claims import criterion_hash, read_claims
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.evidence.statistics import Above
from bnrepro.evidence.verdicts import judge
from experiments.speedup import figures, metrics, rate
from experiments.speedup.__main__ import main
from experiments.speedup.measure import cell_config, cells
from scripts import render
from tests.drawing import call, drawn, evidence_of, legend, line
from tests.experiments.altered import said

ASYNCHRONOUS = "16 replicas"
T = 1600


def cell(arm: str, place: int, accuracy: float | None, budget: int = T, regime: str = ASYNCHRONOUS):
    outcome = "non-finite" if accuracy is None else "trained" if accuracy > 0.11 else "collapsed"
    replicas = 1 if regime == "one replica" else 16
    return {
        "regime": regime, "replicas": replicas, "init": "he", "arm": arm, "place": place,
        "rate": rate(place), "budget": budget, "seed": 0, "accuracy": accuracy, "outcome": outcome,
    }  # fmt: skip


def made_up(plain: dict[int, float | None], bn: dict[int, dict[int, float]]) -> Evidence:
    """One seed: the plain network's accuracy by place, BN's by place and budget."""
    rows = [cell("plain", place, accuracy) for place, accuracy in plain.items()]
    rows += [cell("bn", k, a, budget) for k, each in bn.items() for budget, a in each.items()]
    return Evidence(runs=[], cells=rows)


PLAIN = {-3: 0.4, -2: 0.6, -1: 0.5, 0: 0.1, 1: None}
BN = {-2: {100: 0.2, 200: 0.4, 400: 0.5}, 0: {100: 0.3, 200: 0.5, 400: 0.7}}


def value(name: str, evidence: Evidence, **claim: object) -> float | None:
    """The one value of a metric."""
    (found,) = getattr(metrics, name)(evidence, {"regime": ASYNCHRONOUS, **claim})
    return found


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        (0.5, math.log(T / 200)),  # where BN with 200 steps ends
        (0.6, math.log(T / (200 * math.sqrt(2)))),  # half-way from 0.5 to 0.7, in ln T′
        (0.3, Above(math.log(T / 100))),  # the smallest budget suffices: a bound
        (0.2, Above(math.log(T / 100))),
        (0.8, None),  # the largest does not
        (None, Above(math.log(T / 100))),
    ],
)
def test_s_is_interpolated_between_budgets_and_bounded_beyond_them(accuracy, expected):
    evidence = made_up({-2: accuracy}, {0: BN[0]})
    (plain,) = evidence.where("cells", arm="plain")
    found = metrics.log_speedup(evidence, plain, ASYNCHRONOUS)
    assert found == (None if expected is None else pytest.approx(expected))
    assert type(found) is type(expected)


def test_bn_takes_its_best_place_at_each_budget_unless_one_is_named():
    evidence = made_up({-2: 0.4}, {0: {100: 0.2, 200: 0.3, 400: 0.7}, 2: {100: 0.3, 200: 0.5,
                                                                      400: 0.5}})  # fmt: skip
    (plain,) = evidence.where("cells", arm="plain")
    best = metrics.log_speedup(evidence, plain, ASYNCHRONOUS)
    named = metrics.log_speedup(evidence, plain, ASYNCHRONOUS, place=0)
    assert best == pytest.approx(math.log(T / (100 * math.sqrt(2))))
    assert named == pytest.approx(math.log(T / 200) - 0.25 * math.log(2))


def test_the_base_is_two_places_below_the_lowest_rate_above_the_best_that_does_not_train():
    evidence = made_up(PLAIN, BN)
    assert metrics.best_place(evidence, ASYNCHRONOUS, "plain", T) == -2
    assert metrics.base_place(evidence, ASYNCHRONOUS) == -2
    slow = made_up({-6: 0.1, **PLAIN}, BN)  # too slow to leave chance: no edge
    assert metrics.base_place(slow, ASYNCHRONOUS) == -2
    assert metrics.base_place(made_up({-1: 0.4, 0: 0.3}, BN), ASYNCHRONOUS) == -1


@pytest.mark.parametrize(
    ("name", "claim", "expected"),
    [
        ("log_tuned_speedup", {}, math.log(T / (200 * math.sqrt(2)))),
        ("log_protocol_speedup", {"steps_up": 2}, math.log(T / (200 * math.sqrt(2)))),
        ("log_cell_speedup", {"place": -1}, math.log(T / 200)),
        ("plain_not_finite", {"steps_up": 2}, 0.0),  # place 0 stays at chance, and finite
        ("plain_not_finite", {"steps_up": 3}, 1.0),
        ("plain_untrained", {"steps_up": 2}, 1.0),
        ("plain_untrained", {"steps_up": 1}, 0.0),
        ("bn_trained", {"steps_up": 2}, 1.0),
        ("log_highest_rate_ratio", {}, Above(math.log(5) / 2)),  # BN trains at its highest
        ("final_gain", {"steps_up": 2, "against": 0}, 0.2),
        ("log_faster_than_base", {"steps_up": 2}, None),  # 0.6: the base rate never gets there …
    ],
)
def test_a_metric_is_what_its_words_say(name, claim, expected):
    found = value(name, made_up(PLAIN, BN), **claim)
    if name == "log_faster_than_base":  # … so the difference to its largest budget is a bound
        expected = Above(math.log(400 / (200 * math.sqrt(2))))
    assert found == pytest.approx(expected)
    assert type(found) is type(expected)


def test_what_was_not_tried_gives_no_value():
    evidence = made_up(PLAIN, {0: BN[0]})  # BN not at the base
    claim = {"regime": ASYNCHRONOUS, "steps_up": 2, "against": "16 replicas, the paper's recipe"}
    assert metrics.log_faster_than_base(evidence, claim) == []
    assert metrics.log_recipe_share(evidence, claim) == []
    assert metrics.log_tuned_speedup(evidence, {"regime": "64 replicas"}) == []


def two_regimes(alone: float, together: float) -> Evidence:
    """One replica and 16, the plain networks with these accuracies beside the same BN cells."""
    rows = []
    for regime, accuracy in (("one replica", alone), (ASYNCHRONOUS, together)):
        rows.append(cell("plain", -2, accuracy, regime=regime))
        rows += [cell("bn", 0, a, budget, regime) for budget, a in BN[0].items()]
    return Evidence(runs=[], cells=rows)


@pytest.mark.parametrize(
    ("alone", "together", "expected"),
    [
        (0.7, 0.5, math.log(2)),
        (0.5, 0.7, -math.log(2)),  # the twin: it shrinks
        (0.7, 0.2, Above(math.log(4))),
        (0.2, 0.5, Above(-math.inf)),  # nothing is known
        (0.9, 0.5, None),
    ],
)
def test_growth_is_the_difference_of_two_regimes(alone, together, expected):
    found = value("log_tuned_growth", two_regimes(alone, together), against="one replica")
    assert found == (None if expected is None else pytest.approx(expected))
    assert type(found) is type(expected)


def test_the_slope_falls_only_where_s_does():
    falling = made_up({-2: 0.3, -1: 0.5, 0: 0.7}, {0: {100: 0.25, 200: 0.5, 400: 0.7}})
    rising = made_up({-2: 0.7, -1: 0.5, 0: 0.3}, {0: {100: 0.25, 200: 0.5, 400: 0.7}})
    assert value("speedup_slope", falling) < 0 < value("speedup_slope", rising)


def test_nothing_is_known_of_a_slope_with_a_bound_in_it():
    evidence = made_up({-2: 0.2, -1: 0.5, 0: 0.7}, {0: {100: 0.25, 200: 0.5, 400: 0.7}})
    found = value("speedup_slope", evidence)
    assert (found, type(found)) == (-math.inf, Above)


def seeds(*accuracies: float | None) -> Evidence:
    """Plain networks with these accuracies, a seed each, beside the same BN cells."""
    rows = []
    for seed, accuracy in enumerate(accuracies):
        each = [cell("plain", -2, accuracy), *(cell("bn", 0, a, b) for b, a in BN[0].items())]
        rows += [row | {"seed": seed} for row in each]
    return Evidence(runs=[], cells=rows)


@pytest.mark.parametrize(
    ("accuracies", "median"),
    [
        ((0.5, 0.7, 0.5), 8),
        ((0.5, 0.7, 0.1), 8),  # a plain network that does not train is beyond all others
        ((0.5, 0.2, 0.7), 8),  # so is one of which S is only known to lie above 16
        ((0.5, 0.2, 0.1), math.nan),
        ((0.7, 0.9, 0.5), 4),  # BN never gets to 0.9
    ],
)
def test_the_map_has_the_median_of_all_seeds_or_a_gap(accuracies, median):
    axis = drawn("speedup", seeds(*accuracies))["map"].axes[0]
    (found,) = line(axis, ASYNCHRONOUS)[1]
    assert found == pytest.approx(median, nan_ok=True)
    crosses = [each for each in axis.get_lines() if each.get_marker() == "x"]
    assert len(crosses) == sum(accuracy == 0.1 for accuracy in accuracies)


def test_a_highest_rate_at_the_grids_end_is_a_bound():
    regimes, _ = figures.tables(load("speedup", "wide"))
    highest = {row[0]: row[1:3] for row in regimes}
    assert highest["one replica"] == ["0.0839", "≥ 0.419"]
    assert highest["16 replicas"] == ["0.0003", "0.0075"]


def worse_bn(evidence: Evidence) -> Evidence:
    """Evidence in which BN trains nowhere."""
    rows = [dict(row) for row in evidence.cells]
    for row in rows:
        if row["arm"] == "bn":
            row |= {"accuracy": 0.1, "outcome": "collapsed"}
    return Evidence(**{**evidence.tables, "cells": rows})


def test_no_claim_on_bn_holds_where_bn_does_not_train():
    evidence = load("speedup", "small")
    without = worse_bn(evidence)
    about_bn = [c for c in read_claims("speedup") if not c["metric"].startswith("plain")]
    held = [c for c in about_bn if judge(c, evidence, "small").verdict == "holds"]
    assert len(held) >= 8
    for claim in held:
        assert judge(claim, without, "small").verdict != "holds", claim["id"]


def test_the_criteria_of_the_committed_evidence_are_unchanged():
    hashes = {c["id"]: criterion_hash(c) for c in read_claims("speedup") if "scale" not in c}
    fixed = {row["claim"]: row["hash"] for row in load("speedup", "small").criteria}
    assert hashes.items() <= fixed.items()


def test_cells_differ_in_what_their_regime_says():
    cfg = compose("speedup", ["scale=wide", "seeds=1"])
    names = [regime.name for regime in cfg.regimes]
    by_regime = {
        (names[c.regime], c.arm): cell_config(cfg, c) for c in cells(cfg) if c.place in (-1, 4)
    }
    recipe = by_regime["16 replicas, the paper's recipe", "plain"]
    assert (recipe.model.dropout, recipe.model.lrn, recipe.optim.weight_decay_divisor) == (
        0.4, True, 1.0,
    )  # fmt: skip
    longer = by_regime["16 replicas, twice the steps", "plain"]
    assert longer.budget.steps == 2 * by_regime["16 replicas", "plain"].budget.steps
    assert by_regime["16 replicas, no momentum", "plain"].optim.momentum == 0
    assert by_regime["one replica", "bn"].model.norm == "batch"
    assert {c.budget for c in cells(cfg) if c.arm == "bn"} == {100, 200, 400, 800, 1600}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> list[str]:
    """The overrides of a finished run."""
    arguments = ["scale=smoke", "seeds=1", f"results={tmp_path_factory.mktemp('speedup')}"]
    call(main, arguments)
    return arguments


@pytest.mark.thorough
def test_a_smoke_run_leaves_every_cell_and_its_figures(finished, run):
    assert run(render.main, ["speedup", *finished]) == 0
    evidence = evidence_of("speedup", finished)
    cfg = compose("speedup", finished)
    assert len(evidence.cells) == len(cells(cfg))
    lost = evidence.where("cells", arm="plain", place=19)
    assert [row["outcome"] for row in lost] == ["non-finite"]  # at a rate of 0.0015·5^9.5
    panels = drawn("speedup", evidence)["rates"].axes
    assert [axis.get_title() for axis in panels] == ["one replica", "16 replicas"]
    assert legend(panels[-1]) == ["without BN, 16 steps", "with BN, 8 steps"]
    assert "16 replicas, twice the steps" in said("speedup", evidence)


def test_the_committed_table_has_a_row_a_plain_cell():
    evidence = load("speedup", "small")
    plain = {(r["regime"], r["place"]) for r in evidence.where("cells", arm="plain")}
    text = said("speedup", evidence)
    assert all(f"{regime}: {rate(place):g} |" in text for regime, place in plain)
