"""The metrics of Section 4.2's claims on made-up evidence, and where there is no speed."""

import math

import pytest

from bnrepro.config import variants
from bnrepro.config.claims import read_claims
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.evidence.statistics import Above
from bnrepro.evidence.verdicts import judge, metric
from experiments.inception.tables import answer

CURVES = {  # accuracy at steps 100, 200, 400
    "inception": (0.3, 0.5, 0.8),
    "bn_x5": (0.6, 0.8, 0.9),
    "bn_x30": (0.5, 0.7, 0.95),
    "inception_sigmoid": (0.1, 0.11, 0.1),
    "bn_x5_sigmoid": (0.2,),  # diverged before step 200
}


def made_up() -> Evidence:
    finite = {"seed": 0, "chance_accuracy": 0.12, "non_finite_parameters": 0.0}
    runs = [
        {
            "variant": variant,
            **finite,
            "best_test_accuracy": max(accuracies),
            "final_test_accuracy_all": accuracies[-1] - 0.2 * max(accuracies),
        }
        for variant, accuracies in CURVES.items()
    ]
    lost = {"best_test_accuracy": None, "final_test_accuracy_all": None}
    lost |= {"non_finite_parameters": 0.75}
    runs.append({"variant": "inception_x5", **finite, **lost})
    curves = [
        {"variant": variant, "seed": 0, "step": step, "test_accuracy": accuracy}
        for variant, accuracies in CURVES.items()
        for step, accuracy in zip((100, 200, 400), accuracies, strict=False)
    ]
    return Evidence(runs=runs, curves=curves)


@pytest.mark.parametrize(
    ("name", "arm", "against", "value"),
    [
        ("log_steps_ratio", "bn_x5", "inception", math.log(2)),
        ("log_steps_ratio_to_plain", "bn_x5", "bn_x30", math.log(2)),
        ("log_steps_ratio_to_plain", "inception_sigmoid", "inception", None),
        ("log_steps_ratio_to_plain", "bn_x5", "inception_sigmoid", Above(math.log(2))),
        ("log_steps_ratio_to_plain", "bn_x5", "bn_x5_sigmoid", Above(math.log(1 / 2))),
        ("log_steps_ratio_to_plain", "bn_x5", "inception_x5", Above(-math.inf)),
        ("log_steps_ratio_to_plain", "bn_x5_sigmoid", "inception_sigmoid", Above(-math.inf)),
        ("log_steps_ratio", "bn_x5", "inception_x5", None),  # no target
        ("max_accuracy_gain", "bn_x30", "bn_x5", 0.05),
        ("log_steps_ratio_to_end", "bn_x5", "inception", math.log(4)),  # to (0.3 + 0.5 + 0.8) / 3
        ("log_steps_ratio_to_end", "inception_sigmoid", "inception", None),
        ("log_steps_ratio_to_end", "bn_x5", "inception_x5", None),  # no target
        ("final_gain", "bn_x30", "bn_x5", 0.04),
        ("final_gain", "bn_x5", "bn_x30", -0.04),
        ("final_gain", "bn_x5", "inception_x5", None),
        ("above_chance", "bn_x5", None, 0.78),
        ("above_chance", "inception_sigmoid", None, -0.01),
        ("above_chance", "inception_x5", None, -1.0),
        ("non_finite_parameters", "inception_x5", None, 0.75),
        ("non_finite_parameters", "inception_sigmoid", None, 0.0),
    ],
)
def test_a_metric_is_what_its_words_say(name, arm, against, value):
    claim = {"experiment": "inception", "metric": name, "arm": arm, "against": against}
    values = metric(claim)(made_up(), claim)
    assert values == [value if value is None else pytest.approx(value)]
    assert type(values[0]) is type(value)


def test_every_claim_names_a_metric_and_arms_that_exist():
    claims = read_claims("inception")
    assert len(claims) == 52
    for claim in claims:
        assert callable(metric(claim))
        assert {claim["arm"], claim.get("against", "inception")} <= set(variants("inception"))


def test_photographs_on_which_inception_stays_at_chance_have_no_speed():
    evidence = load("inception", "photos")
    assert "does not leave chance on every seed" in answer(evidence)
    assert "times as fast" not in answer(evidence)
    claim = next(c for c in read_claims("inception") if c["id"] == "inception-photos-x5-fourteen")
    assert judge(claim, evidence, "photos").verdict == "not testable here"


def test_the_answer_says_where_an_arm_had_fewer_steps_than_inception():
    assert "BN-x5, in 1,333 of 8,000 steps," in answer(load("inception", "asynchronous"))
    assert "of 8,000 steps" not in answer(load("inception", "small"))
