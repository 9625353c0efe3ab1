"""Optimisers: Adagrad against PyTorch's, full batches, and the metric."""

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
from experiments.optimizers.metrics import loss_share
from tests.experiments.sweeps import small_configs

SMOKE = ["scale=smoke"]
CLAIM = {"optimizer": "adagrad", "arm": "bn"}


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_adagrad_takes_the_steps_of_pytorchs(norm):
    model, optim = small_configs("optimizers")
    model.norm, optim.rule = norm, "adagrad"
    slots = [Slot(0, 0.1, 0.3)]
    mine = SlotTrainer(model, optim, slots, synthetic(200, 80), torch.device("cpu"))
    other = SlotTrainer(model, optim, slots, synthetic(200, 80), torch.device("cpu"))
    theirs = torch.optim.Adagrad(other.net.params.values(), lr=0.1)
    for step in range(5):
        for _ in mine.run([step + 1]):
            pass
        _, grads = other.net.gradients(*other.minibatch(step))
        for name, parameter in other.net.params.items():
            parameter.grad = grads[name]
        theirs.step()
    for name, value in mine.net.params.items():
        torch.testing.assert_close(value, other.net.params[name])


def test_a_resumed_run_with_adagrad_is_the_unbroken_one_bitwise():
    model, optim = small_configs("optimizers")
    optim.rule = "adagrad"
    whole, first, second = (
        SlotTrainer(model, optim, [Slot(0, 0.1, 0.3)], synthetic(200, 80), torch.device("cpu"))
        for _ in range(3)
    )
    list(whole.run([6]))
    list(first.run([3]))
    second.load_state_dict(first.state_dict())
    list(second.run([6]))
    for name, value in whole.net.params.items():
        assert torch.equal(value, second.net.params[name])


def test_a_rule_that_does_not_exist_is_named_and_momentum_is_not_adagrads():
    with pytest.raises(UserError, match=r"sweep\.adagrad\.rule=adam: allowed are sgd, adagrad"):
        validate_fields(compose("optimizers", [*SMOKE, "sweep.adagrad.rule=[adam]"]))
    with pytest.raises(UserError, match=r"optim\.rule=adagrad with optim\.momentum=0\.9"):
        validate_fields(compose("mnist", ["optim.rule=adagrad", "optim.momentum=0.9"]))


def test_a_full_batch_takes_every_image_at_every_step():
    model, optim = small_configs("optimizers")
    optim.batch = 200
    trainer = SlotTrainer(
        model, optim, [Slot(0, 0.1, 0.3)], synthetic(200, 80), torch.device("cpu")
    )
    for step in (0, 1, 2):
        images, _ = trainer.minibatch(step)
        assert torch.equal(images[0].sum(0), trainer.x.sum(0))


def test_the_loss_is_a_share_of_that_of_guessing_at_the_best_rate():
    rows = [
        {"arm": "bn", "lr": lr, "seed": seed, "step": 20, "outcome": "trained",
         "train_loss": loss * math.log(10)}
        for lr, loss in ((0.1, 0.5), (1.0, 0.05))
        for seed in (0, 1)
    ]  # fmt: skip
    assert loss_share(Evidence(adagrad=rows), CLAIM) == pytest.approx([0.05, 0.05])
    rows[-1]["train_loss"], rows[-1]["outcome"] = None, "non-finite"
    assert loss_share(Evidence(adagrad=rows), CLAIM) == pytest.approx([0.5, None])
