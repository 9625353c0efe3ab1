"""Figures, tables and answers where arms diverged, have one seed or stop, or did not run."""

import numpy as np
import pytest

from bnrepro.evidence.drift import layer_drift
from bnrepro.evidence.evidence import load
from bnrepro.plots.style import arm
from tests.drawing import drawn, more
from tests.experiments.altered import (
    AN_ARM,
    RUNS,
    SCALE,
    TRAINED,
    at_end,
    committed,
    kept,
    lost,
    lost_runs,
    said,
    shown,
)

DIVERGED = {  # what is said of the arm that diverged alone
    "bias_growth": "sigmoid network: centring, scaling outside, each step | 2 of 2",
    "whitening": "full whitening (rate 3): diverged",
    "inference": "\n2 | 2 of 2 diverged | 2 of 2 diverged",
    "placement": "2 of 2 diverged (lr 0.1)",
    "covariate_shift": " | never, never | 2 of 2 diverged\nsigmoid, BN, then noise",
    "regularization": "groups of 8 | 2 of 2 diverged | 2 of 2 diverged | 2 of 2 diverged",
    "jacobian": "with BN: diverged",
    "scale_invariance": "with BN, rate 5 | 2 not finite",
}


FIRST, *OTHERS = TRAINED
FIRST_AND_MORE = [FIRST, *more(*OTHERS)]


@pytest.mark.parametrize("stem", FIRST_AND_MORE)
def test_an_arm_that_diverged_is_marked_in_the_figures_or_the_table(stem):
    assert DIVERGED[stem] in shown(stem, lost(stem, AN_ARM[stem]))
    assert DIVERGED[stem] not in said(stem, committed(stem))


def test_a_cross_stands_where_a_seed_diverges_and_its_line_ends_there():
    later = lost("jacobian", {"arm": "bn", "seed": 1}, after=300)
    axis = drawn("jacobian", later)["singular-values"].axes[1]
    *lines, cross = [line for line in axis.get_lines() if line.get_color() == arm("bn").colour]
    assert (cross.get_label(), list(cross.get_xdata())) == ("with BN: diverged", [1000])
    ends = [np.isfinite(line.get_ydata()).tolist() for line in lines]
    assert ends == [[True] * 5, [True, True, True, False, False]]


@pytest.mark.parametrize("stem", FIRST_AND_MORE)
def test_where_every_network_diverged_nothing_is_averaged(stem):
    text = shown(stem, lost(stem, {}))
    assert any(word in text for word in ("diverged", "not finite"))


@pytest.mark.parametrize("stem", FIRST_AND_MORE)
def test_one_seed_is_drawn_and_has_no_interval(stem):
    one = kept(committed(stem), lambda row: row.get("seed") in (None, 1, 1000))
    text = shown(stem, one)
    assert ": diverged" not in text
    assert "], " not in text.replace("within [½, 2], ", "")


@pytest.mark.parametrize(
    ("stem", "which"),
    [
        ("bias_growth", -1),
        *more(("whitening", 0), ("placement", 0), ("jacobian", -1), ("scale_invariance", -1)),
    ],
)
def test_one_stop_is_drawn_and_nothing_is_called_diverged(stem, which):
    assert ": diverged" not in shown(stem, at_end(stem, which))


@pytest.mark.parametrize("stem", ["bias_growth", *more("placement", "jacobian")])
def test_a_network_that_did_not_run_is_not_spoken_of(stem):
    text = shown(stem, kept(committed(stem), lambda row: row.get("activation") != "sigmoid"))
    assert "ReLU" in text
    assert "sigmoid network" not in text
    assert "(sigmoid" not in text


@pytest.mark.parametrize("stem", [*TRAINED, *RUNS, "inception_grid", "mnist_grid"])
def test_undisturbed_evidence_has_nothing_diverged(stem):
    text = said(stem, load(stem, SCALE.get(stem, "small")))
    assert ": diverged" not in text
    assert "2 diverged" not in text


@pytest.mark.parametrize(
    ("stem", "variant", "name"), [("mnist", "bn", "with BN"), ("inception", "bn_x5", "BN-x5")]
)
def test_a_run_that_diverged_before_any_evaluation_is_in_legend_and_table(stem, variant, name):
    text = shown(stem, lost_runs(stem, [variant]))
    assert f"\n{name}, 2 of 2 diverged\n" in text
    assert ("diverged at step | – | – | 2 of 2 seeds" in text) == (stem == "mnist")
    assert ("non-finite at step 3, non-finite at step 3" in text) == (stem == "inception")
    some = shown(stem, lost_runs(stem, [variant], seeds=(0,)))
    assert f"\n{name}, 1 of 2 diverged\n" in some


@pytest.mark.parametrize(("stem", "plain"), [("mnist", "baseline"), ("inception", "inception")])
def test_without_the_plain_arm_there_is_no_target(stem, plain):
    text = said(stem, lost_runs(stem, [plain]))
    assert "no target in 2 of 2 seeds" in text or "is no target to be fast to" in text
    assert "never reached" not in text


@pytest.mark.parametrize("stem", RUNS)
def test_where_every_run_diverged_every_arm_says_so(stem):
    arms = committed(stem).variants
    text = shown(stem, lost_runs(stem, arms))
    assert text.count(", 2 of 2 diverged\n") >= len(arms)


@pytest.mark.parametrize("stem", RUNS)
def test_one_arm_or_one_seed_is_drawn_and_not_compared(stem):
    one = committed(stem).variants[1]
    alone = kept(committed(stem), lambda row: row.get("variant") in (None, one))
    assert "Not compared: " in shown(stem, alone)
    assert "[" not in said(stem, kept(alone, lambda row: row.get("seed") in (None, 1))).replace(
        "[95 % interval]", ""
    )


@pytest.mark.parametrize("stem", RUNS)
def test_runs_without_probes_are_drawn(stem):
    evidence = kept(committed(stem), lambda row: True)
    evidence.tables["units"] = []
    assert "diverged before it was probed" in shown(stem, evidence)


def test_a_layer_that_was_never_finite_has_no_drift():
    rows = [{"step": step, "percentiles": {"training": {"h": None}}} for step in (1000, 2000)]
    assert np.isnan(list(layer_drift(rows, "training", "h").values())).all()


def test_cells_that_diverged_are_named_in_the_heat_map_and_among_the_finalists():
    evidence = kept(load("mnist_grid", "paper"), lambda row: True)
    for row in evidence.where("cells", variant="bn", lr=3.0):
        if row["seed"] == 1000 or row["init_std"] == 1.0:
            row |= {"diverged": True, "accuracy": 0.0, "left_plateau_at": None}
    text = shown("mnist_grid", evidence)
    assert "\n1 of 2 diverged" in text
    assert "\ndiverged\n" in text
    assert "with BN | 3 | 0.3 | diverged, " in text
    for row in evidence.cells:
        row |= {"diverged": True, "accuracy": 0.0, "left_plateau_at": None}
    assert "\ndiverged ★\n" in shown("mnist_grid", evidence)


def test_values_of_a_search_that_diverged_are_marked():
    evidence = kept(load("inception_grid", "small"), lambda row: True)
    gone = dict.fromkeys(("final_test_accuracy_all", "best_test_accuracy"))
    gone |= {"outcome": "non-finite", "first_non_finite_step": 7}
    for cell in evidence.cells:
        cell |= gone if cell["value"] in (0.08, 6, 60) else {}
    text = shown("inception_grid", evidence)
    assert "6 times: diverged" in text
    assert text.count("non-finite at step 7") == 3
    for cell in evidence.cells:
        cell |= gone
    assert "The searches are not complete." in shown("inception_grid", evidence)


def test_multiples_that_all_diverged_are_crosses_alone_where_there_is_no_target():
    evidence = kept(load("inception_grid", "small"), lambda row: row.get("variant") == "multiplier")
    for cell in evidence.cells:
        cell |= dict.fromkeys(("final_test_accuracy_all", "best_test_accuracy"))
        cell |= {"outcome": "non-finite", "first_non_finite_step": 7}
    (axis,) = drawn("inception_grid", evidence)["searches"].axes
    assert [line.get_marker() for line in axis.get_lines()] == ["x"]
