"""Asynchronous SGD: replicas that take turns equal a loop written by hand, also when resumed."""

import io

import pytest
import torch
from torch import nn

from bnrepro.config import compose, validate
from bnrepro.data import synthetic
from bnrepro.errors import UserError
from bnrepro.models.mlp import Slot
from bnrepro.training.images import ImageTrainer, learning_rate
from bnrepro.training.replicas import Replicas
from bnrepro.training.slots import SlotTrainer
from tests.drawing import more

CPU = torch.device("cpu")


def image_trainer(*overrides: str, variant: str = "bn_baseline") -> ImageTrainer:
    cfg = compose("inception", ["scale=smoke", f"variant={variant}", "optim.lr=0.01", *overrides])
    validate(cfg)
    return ImageTrainer(cfg, 0, synthetic(200, 60), CPU)


def slot_trainer(replicas: int, warm_start: int = 0, norm: str = "batch") -> SlotTrainer:
    changes = [f"optim.replicas={replicas}", f"optim.warm_start={warm_start}"]
    cfg = compose("mnist", ["scale=smoke", f"model.norm={norm}", "optim.momentum=0.5", *changes])
    slots = [Slot(0, 0.3, 0.1), Slot(1, 0.1, 0.1)]
    return SlotTrainer(cfg.model, cfg.optim, slots, synthetic(300, 60), CPU)


def parameters(trainer: ImageTrainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in trainer.network.parameters()]


def by_hand(trainer: ImageTrainer, replicas: int, updates: int) -> list[torch.Tensor]:
    """Momentum SGD with gradients taken at the parameters of `replicas` − 1 updates before."""
    params = list(trainer.network.parameters())
    history = [parameters(trainer)]
    velocity = [torch.zeros_like(p) for p in params]
    trainer.network.train()
    for t in range(updates):
        stale, current = history[max(0, t - replicas + 1)], history[-1]
        with torch.no_grad():
            for p, value in zip(params, stale, strict=True):
                p.copy_(value)
        x, labels = trainer.source.batch(t)
        torch.manual_seed(0)  # no dropout in this arm
        loss = nn.functional.cross_entropy(trainer.network(2 * x - 1), labels)
        grads = torch.autograd.grad(loss, params)
        rate, new = learning_rate(trainer.cfg, t), []
        for p, g, v in zip(current, grads, velocity, strict=True):
            decay = trainer.cfg.optim.weight_decay if p.dim() > 1 else 0.0
            v.mul_(trainer.cfg.optim.momentum).add_(g + decay * p)
            new.append(p - rate * v)
        history.append(new)
    return history[-1]


def test_replicas_of_an_image_network_equal_a_loop_by_hand():
    overrides = ("model.dropout=0", "optim.replicas=3")
    trainer, other = image_trainer(*overrides), image_trainer(*overrides)
    list(trainer.run([4]))
    expected = by_hand(other, 3, 4)
    for ours, theirs in zip(parameters(trainer), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    synchronous = image_trainer("model.dropout=0")
    list(synchronous.run([4]))
    assert not torch.allclose(parameters(synchronous)[0], expected[0], rtol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_two_replicas_of_slots_equal_a_loop_by_hand_bitwise(norm):
    trainer, other = slot_trainer(2, norm=norm), slot_trainer(1, norm=norm)
    list(trainer.run([6]))
    net, optim = other.net, other.optim
    history = [{k: v.clone() for k, v in net.params.items()}]
    velocity = {k: torch.zeros_like(v) for k, v in net.params.items()}
    for t in range(6):
        x, labels = other.examples(t)
        net.params = {k: v.clone() for k, v in history[max(0, t - 1)].items()}
        grads = net.gradients(x, labels)[1]
        new = {k: v.clone() for k, v in history[-1].items()}
        for name, grad in grads.items():
            step = velocity[name].mul_(optim.momentum).add_(grad)
            new[name].addcmul_(step, other.lr, value=-1)
        history.append(new)
    for name, value in trainer.net.params.items():
        assert torch.equal(value, history[-1][name]), name
    for name, value in trainer.net.moving.items():
        assert torch.equal(value, net.moving[name]), name


def test_one_replica_is_the_usual_trainer_bitwise():
    one, usual = image_trainer("optim.replicas=1"), image_trainer()
    assert [float(x) for x in one.run([2, 4])] == [float(x) for x in usual.run([2, 4])]
    assert one.replicas is None


@pytest.mark.parametrize("stop", [5, *more(1, 4)])
def test_a_resumed_image_run_equals_an_unbroken_one_bitwise(stop):
    overrides = ("optim.replicas=3", "optim.warm_start=2")
    whole, first, second = (image_trainer(*overrides) for _ in range(3))
    list(whole.run([stop, 8]))
    list(first.run([stop]))
    second.load_state_dict(torch.load(_saved(first), weights_only=True))
    list(second.run([8]))
    for ours, theirs in zip(parameters(second), parameters(whole), strict=True):
        assert torch.equal(ours, theirs)


def _saved(trainer: ImageTrainer) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(trainer.state_dict(), buffer)
    buffer.seek(0)
    return buffer


def test_resumed_slots_equal_unbroken_ones_bitwise():
    whole, first, second = (slot_trainer(4, warm_start=3) for _ in range(3))
    list(whole.run([5, 11]))
    list(first.run([5]))
    second.load_state_dict(first.state_dict())
    list(second.run([11]))
    for name, value in whole.net.params.items():
        assert torch.equal(value, second.net.params[name])


def test_during_the_warm_start_training_is_synchronous():
    warm, usual = slot_trainer(4, warm_start=5), slot_trainer(1)
    losses = [torch.stack(list(t.run([5]))) for t in (warm, usual)]
    assert torch.equal(*losses)
    list(warm.run([9]))
    list(usual.run([9]))
    assert not torch.equal(warm.net.params["output.weight"], usual.net.params["output.weight"])


def test_after_the_warm_start_all_replicas_have_the_servers_parameters():
    trainer = slot_trainer(4, warm_start=5)
    list(trainer.run([5]))
    for copy in trainer.replicas.copies:
        for held, server in zip(copy, trainer.net.params.values(), strict=True):
            assert torch.equal(held, server)


def test_replicas_beside_compiled_updates_are_refused():
    with pytest.raises(UserError, match=r"optim\.replicas=2 with compile=true"):
        image_trainer("optim.replicas=2", "compile=true")


def test_updates_of_a_turn_read_and_write_the_same_copies():
    """What a CUDA graph of its own needs: turns repeat every R updates once all have joined."""
    replicas = Replicas([torch.zeros(1)], 3, warm_start=2)
    turns = [replicas.turn(update) for update in range(9)]
    assert turns[:2] == [(0, False, False), (1, False, True)]
    assert turns[2:5] == [(2, True, False), (0, True, False), (1, True, False)]
    assert turns[5:8] == turns[2:5]


def test_replicas_beside_data_parallel_processes_are_refused():
    cfg = compose("inception", ["scale=smoke", "optim.replicas=2"])
    cfg.processes = 2
    with pytest.raises(UserError, match="2 processes"):
        ImageTrainer(cfg, 0, synthetic(200, 60), CPU)


def test_replicas_are_part_of_the_identity():
    from bnrepro.config.identity import config_hash

    usual = config_hash(compose("inception", []), "x")
    assert (
        config_hash(compose("inception", ["optim.replicas=1", "optim.warm_start=0"]), "x") == usual
    )
    assert config_hash(compose("inception", ["optim.replicas=2"]), "x") != usual
