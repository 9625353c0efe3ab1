"""γ and β: BN whose γ and β stay fixed, and the share of inputs in the linear part."""

import pytest
import torch

from bnrepro.data import synthetic
from bnrepro.evidence.evidence import Evidence
from bnrepro.models.mlp import Slot
from bnrepro.training.slots import SlotTrainer
from experiments.gamma_beta import measure
from experiments.gamma_beta.metrics import (
    accuracy_change,
    linear_share_change,
    smallest_linear_share,
)
from tests.experiments.sweeps import small_configs

SMOKE = ["scale=smoke"]
CLAIM = {"arm": "bn_fixed", "against": "bn"}


def row(arm: str, lr: float, seed: int, loss: float, share: float) -> dict:
    """A network at its last stop whose first layer has that share and its second 0.1 more."""
    return {
        "arm": arm, "lr": lr, "seed": seed, "step": 20, "outcome": "trained", "train_loss": loss,
        "test_accuracy": 1 - loss, "linear_hidden1": share, "linear_hidden2": share + 0.1,
    }  # fmt: skip


def made_up() -> Evidence:
    """The best rate is 1; at the other the shares are others."""
    return Evidence(
        sigmoid=[
            row(arm, lr, seed, loss + 0.01 * seed, share + 0.01 * seed)
            for arm, loss, share in (("bn", 0.1, 0.5), ("bn_fixed", 0.3, 0.8))
            for lr, loss, share in ((1.0, loss, share), (10.0, loss + 0.4, 0.2))
            for seed in (0, 1)
        ]
    )


def test_values_are_those_of_each_arms_best_rate():
    assert smallest_linear_share(made_up(), CLAIM) == pytest.approx([0.8, 0.81])
    assert linear_share_change(made_up(), CLAIM) == pytest.approx([0.3, 0.3])
    assert accuracy_change(made_up(), CLAIM) == pytest.approx([-0.2, -0.2])
    assert smallest_linear_share(Evidence(sigmoid=[]), CLAIM) == []


def test_a_network_that_is_not_finite_has_no_share():
    evidence = made_up()
    for each in evidence.sigmoid:
        each |= {"linear_hidden2": None, "test_accuracy": None}
    assert smallest_linear_share(evidence, CLAIM) == [None, None]
    assert accuracy_change(evidence, CLAIM) == [None, None]


def test_fixed_gamma_and_beta_stay_while_the_weights_learn_as_with_bn():
    model, optim = small_configs("gamma_beta")
    transform = measure.FixedTransform(model.eps, model.bn_momentum)
    data, slots = synthetic(200, 80), [Slot(0, 0.5, 0.3)]
    trainer = SlotTrainer(model, optim, slots, data, torch.device("cpu"), transform)
    before = {name: value.clone() for name, value in trainer.net.params.items()}
    for _ in trainer.run([1]):
        pass
    moved = {n for n, v in trainer.net.params.items() if not torch.equal(v, before[n])}
    assert {"hidden1.weight", "hidden2.weight", "output.weight"} <= moved
    assert not any(name.endswith(("gamma", "beta")) for name in moved)
    model.norm = "batch"
    usual = SlotTrainer(model, optim, slots, data, torch.device("cpu"))
    for _ in usual.run([1]):
        pass
    for name in ("hidden1.weight", "hidden2.weight", "output.weight"):
        torch.testing.assert_close(trainer.net.params[name], usual.net.params[name])
