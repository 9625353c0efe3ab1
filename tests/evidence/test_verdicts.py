"""Verdicts on made-up evidence: each word comes up when it should, and only then."""

import math

import pytest

from bnrepro.config.claims import criteria, criterion_hash, read_claims
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Above
from bnrepro.evidence.verdicts import judge, metric
from bnrepro.experiment import stems
from bnrepro.plots.claims import measured, worded


def made_up(gains: list[float], reached: bool = True) -> Evidence:
    evidence = Evidence(runs=[], curves=[])
    for seed, gain in enumerate(gains):
        for variant, accuracy in (("baseline", 0.9), ("bn", 0.9 + gain)):
            drift = 0.1 if variant == "bn" else 0.4
            evidence.runs.append(
                {
                    "variant": variant,
                    "seed": seed,
                    "final_test_accuracy": accuracy,
                    "drift_relative_training_hidden3": drift,
                    "drift_spread_training_hidden3": drift,
                }
            )
            early = 0.91 if variant == "bn" and reached else 0.5
            for step, value in ((100, early), (400, accuracy)):
                row = {"variant": variant, "seed": seed, "step": step, "test_accuracy": value}
                evidence.curves.append(row)
    return evidence


def claim(
    metric: str, op: str = ">", n: int = 3, over: str = "interval", unit: str = "percentage points"
) -> dict:
    return {
        "id": "x", "section": "4", "claim": "c", "paper": "p", "experiment": "mnist",
        "metric": metric, "unit": unit, "arm": "bn", "against": "baseline", "n": n,
        "kind": "statistical",
        "criterion": {"over": over, "op": op, "value": 0}, "not_shown": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([0.010, 0.011, 0.012], "holds"),
        ([-0.010, -0.011, -0.012], "fails"),
        ([0.010, -0.011, 0.012], "inconclusive"),
    ],
)
def test_the_interval_decides(gains, word):
    verdict = judge(claim("final_accuracy_gain"), made_up(gains), "paper")
    assert verdict.verdict == word
    assert verdict.values == pytest.approx(gains)


def test_fewer_seeds_than_fixed_decide_nothing():
    verdict = judge(claim("final_accuracy_gain", n=5), made_up([0.01] * 3), "paper")
    assert verdict.verdict == "inconclusive"
    assert "3 seeds where 5" in verdict.why


def test_no_evidence_is_not_run():
    assert worded(judge(claim("final_accuracy_gain"), None, "paper")) == "not run"


def test_a_claim_on_an_arm_without_runs_is_not_run():
    for over in ("interval", "every"):
        one_arm = made_up([0.01] * 3)
        one_arm.tables["runs"] = one_arm.where("runs", variant="baseline")
        verdict = judge(claim("final_accuracy_gain", over=over), one_arm, "paper")
        assert (verdict.verdict, verdict.values) == ("not run", [])


def test_speed_and_its_censoring():
    faster = claim("log_steps_ratio", unit="times as fast, in steps")
    verdict = judge(faster, made_up([0.01, 0.02, 0.03]), "paper")
    assert verdict.values == pytest.approx([math.log(4)] * 3)
    assert measured(verdict) == "4.00 [4.00, 4.00] times as fast, in steps"
    never = judge(faster, made_up([-0.2] * 3, reached=False), "paper")
    assert never.verdict == "fails"
    assert never.interval is None
    assert "never reached" in measured(never)


def test_drift_is_a_ratio():
    smaller = claim("log_median_drift", op="<", unit="times the drift")
    verdict = judge(smaller, made_up([0.0] * 3), "paper")
    assert verdict.verdict == "holds"
    assert measured(verdict) == "0.25 [0.25, 0.25] times the drift"


@pytest.mark.parametrize(
    ("values", "word", "text"),
    [
        ([0.7, *[Above(0.4)] * 4], "holds", "2.014, > 1.492, > 1.492, > 1.492, > 1.492 times as"),
        ([0.7, *[Above(0.4)] * 3], "inconclusive", "2.014, > 1.492, > 1.492"),  # four of five seeds
        ([0.7, *[Above(0.4)] * 3, Above(-0.4)], "inconclusive", "2.014, > 1.492"),
        ([0.7, Above(-0.4), Above(0.4)], "inconclusive", "2.014, > 0.6703, > 1.492 times"),
        ([0.7, 0.7, Above(-math.inf)], "inconclusive", "2.014, 2.014, not known times"),
        ([Above(0.4)], "inconclusive", "> 1.492 times"),  # one seed of three
    ],
)
def test_lower_bounds_have_no_interval(monkeypatch, values, word, text):
    monkeypatch.setattr("experiments.mnist.metrics.log_steps_ratio", lambda *_: values)
    faster = claim("log_steps_ratio", unit="times as fast, in steps")
    verdict = judge(faster, made_up([0.0]), "paper")
    assert (verdict.verdict, verdict.interval) == (word, None)
    assert measured(verdict).startswith(text)


def test_bounds_of_what_is_no_logarithm_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(
        "experiments.mnist.metrics.final_accuracy_gain", lambda *_: [3.0, Above(2.5)]
    )
    verdict = judge(claim("final_accuracy_gain", unit="decades"), made_up([0.0]), "paper")
    assert measured(verdict) == "3, > 2.5 decades"


def test_a_criterion_on_every_value_fails_with_one():
    good, bad = made_up([0.1, 0.2]), made_up([0.1, -0.1])
    every = claim("final_accuracy_gain", over="every", n=2)
    assert judge(every, good, "paper").verdict == "holds"
    assert judge(every, bad, "paper").verdict == "fails"


@pytest.mark.parametrize(
    ("limit", "word"), [(0.005, "holds"), (0.0115, "not testable here"), (0.5, "not testable here")]
)
def test_a_claim_is_judged_only_where_its_condition_holds(limit, word):
    condition = {"metric": "final_accuracy_gain", "arm": "bn"}
    condition["criterion"] = {"over": "every", "op": ">", "value": limit}
    faster = {**claim("log_steps_ratio", unit="times as fast"), "provided": condition}
    verdict = judge(faster, made_up([0.010, 0.011, 0.012]), "small")
    assert verdict.verdict == word
    if word != "holds":
        assert measured(verdict) == verdict.why == "final_accuracy_gain of bn: 0.010, 0.011, 0.012"
        assert worded(verdict).startswith("not testable here at scale small")
    assert criterion_hash(faster) != criterion_hash(claim("log_steps_ratio"))
    nothing = Evidence(runs=[], curves=[])
    assert judge(faster, nothing, "small").verdict == "not run"


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([0.5, 0.01, 0.02, 0.01, 0.02], "holds"),  # whose t-interval holds 0
        ([-0.5, -0.01, -0.02, -0.01, -0.02], "fails"),
        ([0.5, -0.01, 0.4, 0.5, 0.4], "inconclusive"),
        ([0.1] * 4, "inconclusive"),  # four seeds agree by chance in 1 of 16
    ],
)
def test_a_sign_test_counts_seeds(gains, word):
    signs = claim("final_accuracy_gain", over="sign", n=len(gains))
    verdict = judge(signs, made_up(gains), "paper")
    assert verdict.verdict == word
    agreeing = sum(gain > 0 for gain in gains)
    assert measured(verdict).endswith(f" percentage points; {agreeing} of {len(gains)} seeds")
    assert judge({**signs, "n": 6}, made_up(gains), "paper").verdict == "inconclusive"


def with_criterion(evidence: Evidence, fixed: dict) -> Evidence:
    """The evidence of runs that recorded the claim's criterion."""
    row = {"claim": fixed["id"], "hash": criterion_hash(fixed)}
    return Evidence(**evidence.tables | {"criteria": [row]})


def test_a_reduced_scale_shows_a_direction_only():
    higher = claim("final_accuracy_gain")
    evidence = with_criterion(made_up([0.010, 0.011, 0.012]), higher)
    assert worded(judge(higher, evidence, "small")) == "direction holds at scale small"
    assert worded(judge(higher, evidence, "paper")) == "holds at scale paper"
    exact = {**higher, "kind": "exact"}
    assert worded(judge(exact, evidence, "small")) == "holds"


@pytest.mark.parametrize(
    "change", [{"n": 2}, {"criterion": {"over": "every", "op": ">", "value": 0}}]
)
def test_a_criterion_that_the_records_do_not_hold_was_stated_after_the_runs(change):
    higher = claim("final_accuracy_gain")
    evidence = with_criterion(made_up([0.010, 0.011, 0.012]), higher)
    changed = {**higher, **change}
    assert (
        worded(judge(changed, evidence, "paper")) == "holds at scale paper, stated after the runs"
    )
    reworded = {**higher, "claim": "other words", "not_shown": "…"}
    assert judge(reworded, evidence, "paper").fixed_before


def test_shares_read_in_per_cent_and_worst_values_are_named():
    every = claim("final_accuracy_gain", over="every")
    verdict = judge(every, made_up([0.010, 0.0125, 0.02]), "paper")
    assert measured(verdict) == "at least 1 percentage points"
    verdict = judge(every, made_up([0.010, -0.0125, 0.02]), "paper")
    assert measured(verdict) == "down to -1.25 percentage points"
    verdict = judge(claim("final_accuracy_gain"), made_up([0.01] * 3), "paper")
    assert measured(verdict) == "1.00 [1.00, 1.00] percentage points"


def all_claims() -> list[dict]:
    return [claim for stem in ("", *stems()) for claim in read_claims(stem)]


def test_every_claim_is_whole_and_its_metric_exists():
    claims = all_claims()
    assert len({c["id"] for c in claims}) == len(claims) > 40
    for c in claims:
        assert {"section", "claim", "paper", "experiment", "kind"} <= set(c)
        assert c["kind"] in ("exact", "statistical", "interpretation")
        assert isinstance(c.get("headline", ""), str)
        if "untestable" in c:
            continue
        assert {"metric", "criterion", "n", "not_shown"} <= set(c), c["id"]
        assert set(c["criterion"]) == {"over", "op", "value"}
        assert c["criterion"]["over"] in ("interval", "sign", "every")
        assert c["metric"].startswith("log_") == c.get("unit", "").startswith("times")
        assert callable(metric(c))


def test_a_claim_that_nothing_here_can_judge_says_why():
    beyond = [c for c in all_claims() if "untestable" in c]
    assert len(beyond) > 2
    for c in beyond:
        verdict = judge(c, made_up([0.1] * 3), "paper")
        assert (verdict.verdict, verdict.values, verdict.p) == ("not testable here", [], None)
        assert worded(verdict) == "not testable here"
        assert measured(verdict) == c["untestable"].strip()


def test_a_criterions_hash_follows_the_criterion_alone():
    (first, *_), before = read_claims("mnist"), criteria("mnist")
    assert criterion_hash(first) == before[first["id"]]
    assert criterion_hash({**first, "claim": "other words"}) == before[first["id"]]
    changed = {**first, "criterion": {"over": "interval", "op": ">", "value": 1}}
    assert criterion_hash(changed) != before[first["id"]]
