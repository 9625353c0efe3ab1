"""Initialisation: ranges that train, bad starts, and the plateau."""

import math

import pytest
import torch

from bnrepro.config import compose
from bnrepro.config.rules import validate_fields
from bnrepro.config.schema import ModelConfig
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Above
from bnrepro.models.mlp import Slot, SlotMLP
from experiments.initialization import CASES
from experiments.initialization.measure import start
from experiments.initialization.metrics import case_gain, log_plateau_ratio, range_gain
from experiments.initialization.tables import CASE_NAMES, range_table

SMOKE = ["scale=smoke"]
STDS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def network(norm: str) -> SlotMLP:
    model = ModelConfig([5, 4, 3], "sigmoid", norm, "normal", 0.5, 1e-5, 0.1)
    return SlotMLP(model, [Slot(0, 0.1, 0.5), Slot(1, 0.1, 0.5)], 6, 10)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("case", CASES)
def test_a_bad_start_changes_what_its_name_says_alone(norm, case):
    before, after = network(norm), network(norm)
    start(after, case)
    shift = "bias" if norm == "none" else "beta"
    for name, value in after.params.items():
        expected = before.params[name]
        if name == "hidden2.weight" and case.startswith("layer"):
            expected = expected * (10 if case == "layer_up" else 0.1)
        if name.startswith("hidden") and name.endswith(shift) and case == "biases":
            expected = torch.full_like(expected, 2.0)
        if name == "output.weight" and case == "classifier":
            expected = torch.zeros_like(expected)
        torch.testing.assert_close(value, expected)


def row(arm: str, std: float, seed: int, accuracy: float, **more: object) -> dict:
    return {
        "arm": arm, "init_std": std, "lr": 1.0, "seed": seed, "step": 9, "train_loss": 1 - accuracy,
        "outcome": "trained", "test_accuracy": accuracy, **more,
    }  # fmt: skip


def grid(plain: dict[float, float], bn: dict[float, float]) -> Evidence:
    """Accuracy 0.3 but for the standard deviations named, the same for both seeds."""
    rows = [
        row(arm, std, seed, found.get(std, 0.3))
        for arm, found in (("baseline", plain), ("bn", bn))
        for std in STDS
        for seed in (0, 1)
    ]
    return Evidence(relu=rows)


@pytest.mark.parametrize("rates", ["plain", "own"])
def test_the_range_reaches_from_the_lowest_to_the_highest_std_near_the_plain_best(rates):
    claim = {"activation": "relu", "rates": rates}
    found = range_gain(grid({0.1: 0.9}, {0.01: 0.82, 0.1: 0.85, 1.0: 0.8}), claim)
    assert found == pytest.approx([1.0, 1.0])  # 0.8 is below 90 % of 0.9
    bound = range_gain(grid({0.1: 0.9}, {0.1: 0.9, 10.0: 0.9}), claim)
    assert bound == pytest.approx([2.0, 2.0])
    assert all(isinstance(value, Above) for value in bound)
    assert range_gain(grid({0.1: 0.9, 10.0: 0.9}, {1.0: 0.9}), claim) == [-math.inf] * 2


def test_the_own_rate_is_chosen_for_each_std_and_the_plain_rate_for_all():
    rows = grid({0.1: 0.9}, {0.1: 0.9}).relu
    higher = [{**r, "lr": 2.0, "test_accuracy": 0.3, "train_loss": 0.7} for r in rows]
    for each in higher:
        if each["arm"] == "bn" and each["init_std"] == 1.0:
            each |= {"test_accuracy": 0.9, "train_loss": 0.1}
    evidence = Evidence(relu=[*rows, *higher])
    gains = [range_gain(evidence, {"activation": "relu", "rates": r}) for r in ("plain", "own")]
    assert gains == [[0.0, 0.0], pytest.approx([1.0, 1.0])]
    assert range_table(evidence)[2][-1] == "1.0"


def test_the_gain_of_a_case_is_the_difference_of_costs_each_at_its_best_rate():
    rows = [
        row(arm, 0.1, seed, accuracy, lr=lr, case=case)
        for seed in (0, 1)
        for arm, case, lr, accuracy in (
            ("baseline", "normal", 1, 0.9), ("baseline", "normal", 2, 0.8),
            ("baseline", "biases", 1, 0.3), ("baseline", "biases", 2, 0.5),
            ("bn", "normal", 1, 0.8), ("bn", "normal", 2, 0.9),
            ("bn", "biases", 1, 0.7), ("bn", "biases", 2, 0.2),
        )
    ]  # fmt: skip
    claim = {"activation": "relu", "case": "biases"}
    assert case_gain(Evidence(cases_relu=rows), claim) == pytest.approx([0.4 - 0.2] * 2)


def test_the_plateau_ends_at_a_fifth_and_is_a_bound_where_the_budget_ends_first():
    curves = {
        ("baseline", 0): (0.1, 0.1, 0.3), ("bn", 0): (0.25, 0.5, 0.9),
        ("baseline", 1): (0.1, 0.19, 0.19), ("bn", 1): (0.1, 0.5, 0.9),
    }  # fmt: skip
    rows = [
        row(arm, 0.01, seed, accuracy, step=step)
        for (arm, seed), values in curves.items()
        for step, accuracy in zip((5, 10, 40), values, strict=True)
    ]
    values = log_plateau_ratio(Evidence(plateau=rows), {"init_std": 0.01})
    assert values == pytest.approx([math.log(8), math.log(4)])
    assert [isinstance(value, Above) for value in values] == [False, True]
    for each in rows:
        if each["arm"] == "bn":
            each["test_accuracy"] = 0.1
    assert log_plateau_ratio(Evidence(plateau=rows), {"init_std": 0.01}) == [None, -math.inf]


def test_every_start_has_a_name_and_another_one_is_refused():
    assert tuple(CASE_NAMES) == CASES
    cfg = compose("initialization", [*SMOKE, "sweep.cases_relu.case=[typo]"])
    with pytest.raises(UserError, match=r"sweep\.cases_relu\.case=typo: allowed are normal"):
        validate_fields(cfg)
