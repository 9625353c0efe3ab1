"""`experiments.ensemble`: errors of ensembles, gains and answers, from made-up probabilities."""

import itertools
import re
from collections.abc import Iterable

import numpy as np
import pytest

from bnrepro.config.claims import metric, read_claims
from bnrepro.evidence.evidence import Evidence, load, read, write
from experiments.ensemble import gather
from experiments.ensemble.gather import (
    RULES,
    VIEWS,
    agreement,
    ensemble_errors,
    predict,
    single_errors,
)
from experiments.ensemble.metrics import members, single_gain, wrong
from experiments.ensemble.tables import gains
from tests.drawing import drawn
from tests.experiments.altered import said

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def made_up(seed: int, names: Iterable[str] = "abc") -> dict[str, dict[str, np.ndarray]]:
    """Probabilities of members at two counts of crops, the second ones better."""
    random = np.random.default_rng(seed)
    truth = np.eye(3)[LABELS]
    result = {}
    for name in names:
        noise = random.dirichlet(np.ones(3), (2, len(LABELS)))
        probabilities = np.stack([0.4 * truth + 0.6 * noise[0], 0.6 * truth + 0.4 * noise[1]])
        result[name] = {
            "counts": np.array([1, 144]), "distinct": np.array([1, 48]), "labels": LABELS,
            "probabilities": probabilities.astype(np.float32),
        }  # fmt: skip
    return result


def evidence_of_made_up(seeds: int = 2) -> Evidence:
    tables = {"runs": [], "errors": [], "pairs": []}
    for seed in range(seeds):
        views = made_up(seed, "abc")
        for variant in ("bn", *views):
            tables["runs"].append({"variant": variant, "seed": seed, "data": "made up", "lr": 0.1,
                                   "multiplier": 2, "final_test_accuracy_all": 0.5})  # fmt: skip
        single = made_up(seed + 100, "s")["s"]
        tables["errors"] += [{"seed": seed, **row} for row in single_errors(single)]
        tables["errors"] += [{"seed": seed, **row} for row in ensemble_errors(views)]
        tables["pairs"] += [{"seed": seed, **row} for row in agreement(views)]
    return Evidence(**tables)


def test_every_subset_of_the_members_is_evaluated_at_every_count():
    rows = list(ensemble_errors(made_up(0)))
    found = {(row["members"], row["crops"]) for row in rows if row["rule"] == RULES[0]}
    subsets = ["+".join(c) for n in (1, 2, 3) for c in itertools.combinations("abc", n)]
    assert found == set(itertools.product(subsets, (1, 144)))
    others = {(row["members"], row["rule"]) for row in rows if row["rule"] != RULES[0]}
    assert others == {("a+b+c", rule) for rule in RULES[1:]}


def test_an_ensemble_s_errors_are_those_of_the_mean_probabilities():
    views = made_up(1)
    (row,) = [r for r in ensemble_errors(views)
              if (r["members"], r["crops"], r["rule"]) == ("a+c", 1, RULES[0])]  # fmt: skip
    mean = (views["a"]["probabilities"][0] + views["c"]["probabilities"][0]) / 2
    bad = mean.argmax(1) != LABELS
    assert row["top_1_error"] == pytest.approx(bad.mean())
    assert wrong(row).tolist() == bad.astype(int).tolist()
    assert row["top_5_error"] == 0  # of three classes the right one is among the first five


def test_the_rules_differ_where_they_should():
    each = np.array([[[0.6, 0.4, 0.0]], [[0.6, 0.4, 0.0]], [[0.0, 0.9, 0.1]]])
    classes = {rule: int(predict(each, rule).argmax()) for rule in RULES}
    assert classes == {"arithmetic mean": 1, "geometric mean": 1, "vote": 0}
    tied = np.array([[[0.9, 0.1]], [[0.4, 0.6]]])
    assert predict(tied, "vote").argmax() == 0  # one voice each: the mean decides
    vetoed = np.array([[[0.98, 0.02]], [[0.0, 1.0]], [[0.9, 0.1]]])
    assert predict(vetoed, "arithmetic mean").argmax() == 0
    assert predict(vetoed, "geometric mean").argmax() == 1


def test_a_network_without_an_opinion_is_wrong_but_for_the_first_class():
    views = made_up(0, "a")
    views["a"]["probabilities"][:] = 1 / 3
    row = next(ensemble_errors(views))
    assert row["top_1_error"] == pytest.approx((LABELS != 0).mean())


def test_agreement_counts_equal_classes_and_equal_errors():
    views = made_up(3, "ab")
    row = next(agreement(views))
    a, b = (views[n]["probabilities"][0].argmax(1) for n in "ab")
    assert row["same_class"] == pytest.approx((a == b).mean())
    both = (a != LABELS) & (b != LABELS)
    assert row["both_wrong"] == pytest.approx(both.mean())
    assert row["same_wrong"] == pytest.approx((both & (a == b)).mean())


def test_metrics_are_differences_of_the_errors_seed_by_seed(tmp_path):
    evidence = evidence_of_made_up()
    write(evidence, tmp_path)
    assert read(tmp_path).errors == evidence.errors  # bits stay text
    assert members(evidence) == ["a", "b", "c"]
    values = {c["id"]: metric(c)(evidence, c) for c in read_claims("ensemble")}
    for seed in range(2):
        error = {
            (r["members"], r["crops"]): r["top_1_error"]
            for r in evidence.where("errors", seed=seed, rule=RULES[0])
        }
        each = [error[name, 144] for name in "abc"]
        all_three = error["a+b+c", 144]
        assert values["ensemble-crops"][seed] == error["bn", 1] - error["bn", 144]
        assert values["ensemble-members"][seed] == pytest.approx(sum(each) / 3 - all_three)
        assert values["ensemble-best-member"][seed] == min(each) - all_three
        assert values["ensemble-whole"][seed] == error["bn", 1] - all_three
        same_crops = single_gain(evidence, {"crops": 144, "top": 1})
        assert same_crops[seed] == error["bn", 144] - all_three


def test_a_member_that_diverged_leaves_no_value_and_still_a_figure_and_tables():
    evidence = evidence_of_made_up()
    evidence.tables["errors"] = [
        row for row in evidence.errors if row["seed"] == 0 or row["members"] == "bn"
    ]
    claim = read_claims("ensemble")[1]
    first, second = metric(claim)(evidence, claim)
    assert first is not None
    assert second is None
    assert drawn("ensemble", evidence)["figure-4"].axes
    from experiments.ensemble.figures import answer, tables

    assert "diverged" in answer(evidence)
    assert len(tables(evidence)) == 5


def test_gains_are_paired_over_images_and_add_up():
    found = gains(evidence_of_made_up())
    crops = found["144 crops for one, of a member"]
    networks = found["all members for one, with 144 crops"]
    both = found["both: all members with 144 crops for one with one"]
    assert both.images == pytest.approx(crops.images + networks.images)
    assert both.images.mean() == pytest.approx(np.mean(both.seeds), abs=1e-5)
    interval = both.over_images
    assert interval.low <= interval.mean <= interval.high


def test_a_seed_without_every_member_is_in_no_ensemble(tmp_path, monkeypatch):
    finished = [("bn", 0), ("bn", 1), ("a", 0), ("a", 1), ("b", 0)]
    for variant, seed in finished:
        folder = tmp_path / variant / f"seed-{seed}"
        folder.mkdir(parents=True)
        np.savez(folder / VIEWS, **made_up(seed, [variant])[variant])
    runs = [{"variant": variant, "seed": seed} for variant, seed in finished]
    monkeypatch.setattr(gather, "gather_runs", lambda *_: Evidence(runs=runs))
    evidence = gather.gather_ensembles({name: tmp_path / name for name in ("bn", "a", "b")})
    assert {row["seed"] for row in evidence.errors if row["members"] == "bn"} == {0, 1}
    assert {row["seed"] for row in evidence.errors if row["members"] != "bn"} == {0}
    assert {row["seed"] for row in evidence.pairs} == {0}


@pytest.mark.parametrize(
    ("scale", "seeds", "over"), [("small", 5, "seeds"), ("gpu", 2, "test images")]
)
def test_the_answer_says_what_its_intervals_are_over(scale, seeds, over):
    text = said("ensemble", load("ensemble", scale))
    assert text.startswith(f"Top-1 error, mean of {seeds} seeds [95 % over {over}]: ")
    ends = re.findall(r"\[(\S+), (\S+)\]", text.split("network | rate")[1])
    assert all(float(low) >= 0 and float(high) <= 100 for low, high in ends)
