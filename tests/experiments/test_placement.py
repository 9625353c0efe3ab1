"""Section 3.2's experiment: its networks and measures against PyTorch and a lone network."""

from itertools import islice

import pytest
import torch
from torch import nn

from bnrepro.config import compose
from bnrepro.config.compose import validate
from bnrepro.data import binarize, open_dataset
from bnrepro.errors import UserError
from experiments.placement.convolution import (
    ConvNets,
    exact_rows,
    minibatches,
    new_norm,
    random_layer,
    shift_error,
)
from experiments.placement.convolution_figures import SHIFTS
from experiments.placement.measure import ARMS, LAST, dense_rows, new_trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cfg():
    return compose("placement", ["scale=smoke"])


@pytest.fixture(scope="module")
def data(cfg):
    return open_dataset(cfg.data)


def reference(net, arm, g, slot):
    """The same network built of PyTorch's layers."""
    layers = []
    for name in [*net.hidden, "output"]:
        weight = net.params[f"{name}.weight"][slot]
        bias = net.params.get(f"{name}.bias")
        linear = nn.Linear(*weight.shape, bias=bias is not None)
        linear.weight = nn.Parameter(weight.T.clone())
        if bias is not None:
            linear.bias = nn.Parameter(bias[slot, 0].clone())
        if name == "output":
            return nn.Sequential(*layers, linear)
        if arm == "none" or (arm == "hidden_input" and name == "hidden1"):
            layers += [linear, g]
        elif arm == "preactivation":
            layers += [linear, nn.BatchNorm1d(weight.shape[1]), g]
        elif arm == "image" or (arm == "hidden_input" and name != "hidden1"):
            layers += [nn.BatchNorm1d(weight.shape[0]), linear, g]
        else:
            layers += [linear, g, nn.BatchNorm1d(weight.shape[1])]


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_a_step_of_every_arm_is_pytorchs(cfg, data, arm, activation):
    trainer = new_trainer(cfg, data, CPU, activation, arm)
    g = nn.Sigmoid() if activation == "sigmoid" else nn.ReLU()
    theirs = [reference(trainer.net, arm, g, i) for i in range(len(trainer.slots))]
    index = next(minibatches([slot.seed for slot in trainer.slots], len(trainer.x), cfg.batch))
    losses = next(trainer.run([1]))
    after = trainer.net.forward(trainer.x[index])[0]
    for i, (model, slot) in enumerate(zip(theirs, trainer.slots, strict=True)):
        x, labels = trainer.x[index[i]], trainer.labels[index[i]]
        loss = nn.functional.cross_entropy(model(x), labels)
        assert losses[i].item() == pytest.approx(loss.item(), abs=1e-5)
        parameters = list(model.parameters())
        for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= slot.lr * grad
        assert torch.allclose(after[i], model(x), atol=2e-4)


def test_arms_share_weights_and_bn_stands_where_they_say(cfg, data):
    trainers = {arm: new_trainer(cfg, data, CPU, "relu", arm) for arm in ARMS}
    first = {arm: trainer.net.params["hidden2.weight"].clone() for arm, trainer in trainers.items()}
    for arm, trainer in trainers.items():
        assert torch.equal(first[arm], first["none"])
        next(trainer.run([1]))
        found = {key.split(".")[0] for key in trainer.grads if key.endswith("gamma")}
        hidden = {"hidden1", "hidden2", "hidden3"}
        absent = {"none": hidden, "hidden_input": {"hidden1"}}
        assert found == hidden - absent.get(arm, set())
        assert ("hidden1.bias" in trainer.grads) == (arm != "preactivation")
        trainer.net.freeze(trainer.x[:100])
        assert {key.split(".")[0] for key in trainer.net.population} == found


def test_training_losses_are_means_over_the_latest_steps_and_stop_0_is_untrained(cfg, data):
    cell = (CPU, "sigmoid", "preactivation")
    longer = compose("placement", ["scale=smoke", "stops=[0,110]"])
    rows = [r for r in dense_rows(longer, data, *cell) if r["part"] == "accuracy"]
    start, end = ([r for r in rows if r["step"] == step] for step in (0, 110))
    assert all(r["training_loss"] is None for r in start)
    trainer = new_trainer(longer, data, *cell)
    trainer.net.freeze(trainer.x[: longer.population_examples])
    untrained = trainer.accuracy("population")[0].tolist()
    assert [r["accuracy"] for r in start] == pytest.approx(untrained, abs=1e-6)
    losses = torch.stack(list(trainer.run(range(1, 111))))[-LAST:].mean(0).tolist()
    assert [r["training_loss"] for r in end] == pytest.approx(losses, rel=1e-6)


def test_networks_that_diverge_are_recorded_as_such(data):
    cfg = compose("placement", ["scale=smoke", "lr=[1e38]", "shape_lr=1e38"])
    rows = list(dense_rows(cfg, data, CPU, "relu", "none"))
    last = [r for r in rows if r["step"] == cfg.stops[-1]]
    assert [r["training_loss"] for r in last if r["part"] == "accuracy"] == [None, None]
    shapes = [r for r in last if r["part"] == "shape" and r["layer"] == "hidden3"]
    assert [r["what"] for r in shapes] == ["u", "u", "x", "x"]
    assert all(r["gaussian_distance"] is None and r["live"] == 0 for r in shapes)


def test_the_rate_of_the_distributions_has_to_be_trained():
    with pytest.raises(UserError, match=r"shape_lr=0.5: must be one of lr=\[0.3, 1.0\]"):
        validate(compose("placement", ["scale=smoke", "shape_lr=0.5"]))


def test_a_slots_mini_batches_depend_on_its_seed_alone():
    together = list(islice(minibatches([0, 1], 50, 20), 5))
    alone = list(islice(minibatches([1], 50, 20), 5))
    assert all(torch.equal(a[1], b[0]) for a, b in zip(together, alone, strict=True))
    assert len(set(torch.cat(together[:2], 1)[0].tolist())) == 40  # an epoch never repeats


def test_bn_makes_the_bias_redundant_and_only_per_map_bn_commutes_with_shifts(cfg, data):
    rows = list(exact_rows(cfg, data))
    for row in rows:
        if row["part"] == "bias":
            assert row["gradient"] < 1e-14
            assert row["output_change"] < 1e-12
        if row["part"] == "shift":
            commutes = row["kind"] == "map" or row["setting"] == "alike"
            assert (row["change"] < 1e-12) == commutes
        if row["part"] == "pairs":
            per_map = 1 if row["kind"] == "map" else row["locations"]
            assert row["numbers"] == 2 * row["maps"] * per_map
    assert {row["part"] for row in rows} == {"bias", "shift", "pairs"}
    assert {row["setting"] for row in rows if row["part"] == "shift"} == set(SHIFTS)


def test_zero_padding_takes_shifts_only_within_the_margin(cfg, data):
    """What `padded_rows` leaves out: an image that reaches the border does not commute."""
    images = binarize(data.train_images[:4]).double().view(4, 1, 28, 28)
    images[..., 0] = 1
    convolution = random_layer(cfg, "map", 0, 28, "zeros")
    norm = new_norm(cfg, "map", 28, 1e-5)
    amounts = torch.ones(4, 2, dtype=torch.long)
    assert shift_error(nn.Sequential(convolution, norm), images, amounts) > 0.01


@pytest.mark.parametrize("kind", ["none", "map", "activation"])
def test_a_convolutional_network_does_not_notice_its_neighbours(cfg, data, kind):
    images = binarize(data.train_images[:30]).view(30, 1, 28, 28)
    both = ConvNets(cfg, kind, 10, 28)(images)
    alone = ConvNets(compose("placement", ["scale=smoke", "seeds=[1]"]), kind, 10, 28)(images)
    assert both.shape == (30, 2, 10)
    assert torch.allclose(both[:, 1], alone[:, 0], atol=1e-5)
    assert not torch.allclose(both[:, 0], alone[:, 0], atol=1e-2)
