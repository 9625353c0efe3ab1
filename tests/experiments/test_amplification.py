"""Small changes of W₁: how they are made and measured, and the growth."""

import math

import pytest
import torch

from bnrepro.config import compose
from bnrepro.config.rules import validate_fields
from bnrepro.data import synthetic
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.models.mlp import Slot
from bnrepro.training.slots import SlotTrainer
from experiments.amplification import EXPERIMENT, measure
from experiments.amplification.__main__ import main
from experiments.amplification.metrics import log_largest_growth_ratio, log_smallest_growth
from tests.drawing import call, drawn, evidence_of
from tests.experiments.sweeps import small_configs

SMOKE = ["scale=smoke"]


def trainer(norm: str) -> SlotTrainer:
    model, optim = small_configs("amplification")
    model.norm, model.gain = norm, 4.0
    slots = [Slot(0, 0.5, 0.3), Slot(1, 0.5, 0.3)]
    return SlotTrainer(model, optim, slots, synthetic(200, 80), torch.device("cpu"))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_first_layer_moves_as_far_as_its_weights_do(norm):
    trained = trainer(norm)
    list(trained.run([2]))
    layers = trained.net.freeze(trained.x[:100])
    before = {name: value.clone() for name, value in trained.net.params.items()}
    found = measure.changes(trained, layers)
    assert set(found) == {f"{k}_hidden{i}" for k in ("update", "random") for i in (1, 2, 3)}
    assert all(torch.equal(value, before[name]) for name, value in trained.net.params.items())
    weight = before[measure.FIRST]
    gradient = trained.grads[measure.FIRST]
    length = measure.SIZE * weight.norm(dim=(1, 2)) / gradient.norm(dim=(1, 2))
    change = torch.matmul(trained.x[:100], gradient) * length.view(-1, 1, 1)
    inputs = torch.matmul(trained.x[:100], weight)
    spread = inputs.var(1, correction=0).mean(1).sqrt()
    if norm == "none":
        expected = change.square().mean((1, 2)).sqrt() / spread
        torch.testing.assert_close(found["update_hidden1"], expected, rtol=1e-3, atol=1e-5)


def test_without_a_step_there_is_no_gradient_to_go_along():
    fresh = trainer("none")
    found = measure.changes(fresh, fresh.net.freeze(fresh.x[:100]))
    assert found["update_hidden1"].isnan().all()
    assert found["random_hidden1"].isfinite().all()


def row(arm: str, seed: int, growth: float) -> dict:
    """A network at its last stop whose last layer moves `growth` times as far as its first."""
    return {
        "arm": arm, "lr": 1.0, "seed": seed, "step": 20, "outcome": "trained", "train_loss": 0.5,
        "test_accuracy": 0.9, "update_hidden1": 0.1, "update_hidden2": 0.3,
        "update_hidden3": 0.1 * growth,
    }  # fmt: skip


def test_the_growth_is_that_of_the_activation_that_speaks_against_the_claim():
    growths = {"sigmoid": {"baseline": 4.0, "bn": 2.0}, "relu": {"baseline": 3.0, "bn": 2.4}}
    tables = {
        name: [row(arm, seed, growth) for arm, growth in arms.items() for seed in (0, 1)]
        for name, arms in growths.items()
    }
    claim = {"arm": "baseline"}
    assert log_smallest_growth(Evidence(**tables), claim) == pytest.approx([math.log(3)] * 2)
    claim = {"arm": "bn", "against": "baseline"}
    ratios = log_largest_growth_ratio(Evidence(**tables), claim)
    assert ratios == pytest.approx([math.log(0.8)] * 2)
    tables["relu"][-1]["update_hidden3"] = None
    assert log_largest_growth_ratio(Evidence(**tables), claim)[1] is None


def test_networks_that_diverge_and_a_single_layer_are_said_and_not_averaged(tmp_path):
    lost = ["sweep.sigmoid.lr=[1e30]", "sweep.relu.lr=[1e30]", "seeds=1", f"results={tmp_path}"]
    call(main, [*SMOKE, *lost])
    evidence = evidence_of("amplification", [*SMOKE, *lost])
    drawn("amplification", evidence)
    assert "ReLU diverged with BN, diverged without" in EXPERIMENT.figures.answer(evidence)
    with pytest.raises(UserError, match=r"model\.hidden=\[8\]: growth needs two layers"):
        validate_fields(compose("amplification", [*SMOKE, "model.hidden=[8]"]))
