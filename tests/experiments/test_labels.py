"""Labels of figures, tables and answers say what ran, also after overrides."""

from bnrepro.evidence.evidence import load
from tests.drawing import drawn, legend
from tests.experiments.altered import committed, kept, overridden, said, shown


def test_labels_of_figure_1_say_what_ran():
    text = shown("mnist", overridden("mnist", lr=0.5, activation="relu"))
    assert "bn_tuned (lr 0.5)" in text
    assert "input to the ReLU" in text
    for untrue in ("own best", "sigmoid", "saturated"):
        assert untrue not in text
    assert "at its own best setting" in said("mnist", committed("mnist"))
    assert "with BN |" not in said("mnist", overridden("mnist", norm="none"))
    assert "bn_tuned (data digits)" in said("mnist", overridden("mnist", data="digits"))


def test_arms_at_different_settings_are_not_called_alike():
    evidence = kept(committed("mnist"), lambda row: True)
    assert "at the same setting" in said("mnist", evidence)
    for run in evidence.where("runs", variant="bn"):
        run["lr"] = 0.5
    assert "at the same setting" not in said("mnist", evidence)


def test_arms_of_inception_at_other_rates_lose_their_papers_names():
    evidence = overridden("inception", multiplier=2)
    curves, times = drawn("inception", evidence)["figure-2"].axes
    arms = ["inception_recipe", "bn_x5_sigmoid", "bn_x30", "bn_x5", "bn_baseline"]
    rows = [row.get_text() for row in times.get_yticklabels()]
    assert rows == [f"{name} (multiplier 2)" for name in arms]
    named = {name.removesuffix(" (each seed)") for name in legend(curves)}
    assert {*rows, "inception (multiplier 2)"} <= named
    assert "as fast as inception (multiplier 2)," in times.get_xlabel()
    text = shown("inception", evidence)
    assert "an arm matches inception (multiplier 2)'s best" in text
    for untrue in ("BN-x5", "BN-x30", "BN-Baseline"):
        assert untrue not in text


def test_the_layers_that_are_judged_are_named():
    two = kept(committed("placement"), lambda row: row.get("layer") != "hidden3")
    assert "sigmoid, hidden layer 2\n" in shown("placement", two)


def test_an_answer_counts_the_decades_and_names_the_factor_that_were_measured():
    fewer = kept(committed("scale_invariance"), lambda row: abs(row.get("a", 1)) <= 1)
    for row in fewer.training:
        row["probe_scale"] = 3.0
    text = said("scale_invariance", fewer)
    assert "Over four decades of a" in text
    assert "weights times 3 get 1/3 of the gradient" in text


def test_the_tuning_seed_is_another_only_where_it_is():
    evidence = kept(committed("whitening"), lambda row: True)
    assert "tuning: one other seed" in shown("whitening", evidence)
    for row in evidence.tuning:
        row["seed"] = 1
    assert "tuning: seed 1" in shown("whitening", evidence)


def test_layers_of_any_number_have_their_statistics():
    two = kept(committed("inference"), lambda row: row.get("layer") != "hidden3")
    assert "times the true one in the first layer and 2.00 times in the second" in said(
        "inference", two
    )
    flat = kept(committed("inference"), lambda row: row.get("layer") in (None, "hidden1"))
    assert "in the first layer, and accuracy" in said("inference", flat)


def test_the_grid_s_arms_say_which_network_was_searched():
    evidence = kept(load("mnist_grid", "paper"), lambda row: True)
    for run in evidence.runs:
        run |= {"norm": "batch", "init": "glorot"}
    text = shown("mnist_grid", evidence)
    assert "with BN, Glorot: rate 1, Glorot" in text
    assert "without BN" not in text


def test_a_search_with_other_seeds_names_them():
    evidence = kept(load("inception_grid", "small"), lambda row: True)
    for row in (*evidence.cells, *evidence.curves):
        row["seed"] = 3
    assert "held-out training images, seed 3" in shown("inception_grid", evidence)


def test_a_search_of_other_values_is_drawn_under_its_own_name():
    evidence = kept(load("inception_grid", "small"), lambda row: row.get("variant") != "fast")
    for row in (*evidence.runs, *evidence.cells, *evidence.curves):
        if row["variant"] == "rate":
            row["variant"] = "rate-3fa2c1"
    assert "Inception, base rate (rate-3fa2c1) | 0.04 ★" in shown("inception_grid", evidence)
