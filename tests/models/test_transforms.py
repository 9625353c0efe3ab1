"""What normalises hidden layers, at each of its places, against autograd and torch's batch norm."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from bnrepro.config.schema import ModelConfig
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.models.transforms import Affine, BatchTransform, Place, Transform, Transformed

S, N, INPUTS, CLASSES, EPS = 2, 12, 9, 5, 1e-3
PLACES: list[Place] = ["preactivation", "input", "after"]
Normalise = Callable[[Tensor, str], Tensor]  # of a layer's values, and the layer's name


def network(transform: Transform, activation: str = "sigmoid") -> SlotMLP:
    """A float64 network of two hidden layers, all of its vectors away from their first values."""
    model = ModelConfig([7, 6], activation, "none", "normal", 0.5, EPS, 0.1)
    slots = [Slot(seed, 0.1, 0.5) for seed in range(S)]
    net = SlotMLP(model, slots, INPUTS, CLASSES, dtype=torch.float64, transform=transform)
    generator = torch.Generator().manual_seed(1)
    for key in sorted(net.params):
        value = net.params[key]
        value += 0.2 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
    return net


def batch(seed: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(S, N, INPUTS, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, CLASSES, (S, N), generator=generator)


def torch_batch_norm(params: dict[str, Tensor], group: int = N) -> Normalise:
    """torch's batch norm, slot by slot and mini-batch by mini-batch."""

    def normalise(x: Tensor, name: str) -> Tensor:
        slots = []
        for slot in range(S):
            vectors = (params[f"{name}.gamma"][slot, 0], params[f"{name}.beta"][slot, 0])
            parts = x[slot].split(group)
            done = [F.batch_norm(p, None, None, *vectors, training=True, eps=EPS) for p in parts]
            slots.append(torch.cat(done))
        return torch.stack(slots)

    return normalise


def forward(
    net: SlotMLP, params: dict[str, Tensor], x: Tensor, normalise: Normalise
) -> tuple[Tensor, list[Tensor]]:
    """Logits, and what each layer normalises, written out anew."""
    u, normalised = x, []
    for name in net.hidden:
        place = net.transform.place
        if place == "input":
            normalised.append(u)
            u = normalise(u, name)
        a = u @ params[f"{name}.weight"] + params.get(f"{name}.bias", 0)
        if place == "preactivation":
            normalised.append(a)
            a = normalise(a, name)
        u = torch.sigmoid(a) if net.sigmoid else torch.relu(a)
        if place == "after":
            normalised.append(u)
            u = normalise(u, name)
    return u @ params["output.weight"] + params["output.bias"], normalised


def autograd(
    net: SlotMLP, x: Tensor, labels: Tensor, normalise: Callable[[dict[str, Tensor]], Normalise]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses (S,) and gradients of the network as autograd has them."""
    params = {key: value.clone().requires_grad_() for key, value in net.params.items()}
    logits = forward(net, params, x, normalise(params))[0]
    losses = torch.stack([F.cross_entropy(logits[i], labels[i]) for i in range(S)])
    grads = torch.autograd.grad(losses.sum(), list(params.values()))
    return losses.detach(), dict(zip(params, grads, strict=True))


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("place", PLACES)
def test_losses_and_gradients_are_those_of_autograd_at_every_place(place, activation):
    net, (x, labels) = network(BatchTransform(EPS, place=place), activation), batch()
    losses, grads = net.gradients(x, labels)
    expected, expected_grads = autograd(net, x, labels, torch_batch_norm)
    assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    assert grads.keys() == expected_grads.keys()
    for key, grad in grads.items():
        assert_close(grad, expected_grads[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("place", PLACES)
def test_a_layer_has_a_bias_unless_the_transform_removes_it(place):
    params = network(BatchTransform(EPS, place=place)).params
    assert ("hidden1.bias" in params) == (place != "preactivation")
    assert params["hidden1.gamma"].shape == (S, 1, INPUTS if place == "input" else 7)
    plain = network(Transform()).params
    assert "hidden1.bias" in plain
    assert "hidden1.gamma" not in plain


@pytest.mark.parametrize("place", PLACES)
def test_moving_averages_follow_what_is_normalised(place):
    net, (x, labels) = network(BatchTransform(EPS, 0.3, place)), batch()
    net.gradients(x, labels)
    values = forward(net, net.params, x, torch_batch_norm(net.params))[1]
    for name, value in zip(net.hidden, values, strict=True):
        mean, var = value.mean(1, keepdim=True), value.var(1, correction=1, keepdim=True)
        assert_close(net.moving[f"{name}.mean"], 0.3 * mean)
        assert_close(net.moving[f"{name}.var"], 0.7 + 0.3 * var)


@pytest.mark.parametrize("place", PLACES)
def test_groups_are_normalised_as_mini_batches_one_by_one(place):
    net, (x, _) = network(BatchTransform(EPS, place=place, group=4)), batch()
    logits, layers = net.forward(x)
    expected, _ = forward(net, net.params, x, torch_batch_norm(net.params, 4))
    assert_close(logits, expected)
    assert layers[0].state.mean.shape[:2] == (S, N // 4)
    one = net.with_transform(BatchTransform(EPS, place=place))
    alone = torch.cat([one.forward(part)[0] for part in x.split(4, dim=1)], 1)
    assert_close(logits, alone)
    assert not torch.allclose(logits, one.forward(x)[0])


@pytest.mark.parametrize("place", PLACES)
def test_frozen_statistics_are_those_of_the_batch_that_was_given(place):
    net = network(BatchTransform(EPS, place=place))
    first, second = batch()[0][0], batch(5)[0][0]  # shared by the slots
    net.freeze(first)
    assert_close(net.forward(first, "population")[0], net.forward(first)[0])
    layers = net.forward(first)[1]

    def normalise(x: Tensor, name: str) -> Tensor:
        state = layers[net.hidden.index(name)].state
        x_hat = (x - state.mean) / (state.var + EPS).sqrt()
        return net.params[f"{name}.gamma"] * x_hat + net.params[f"{name}.beta"]

    expected = forward(net, net.params, second, normalise)[0]
    assert_close(net.forward(second, "population")[0], expected)
    assert not torch.allclose(expected, net.forward(second)[0])


def test_freezing_a_network_that_normalises_nothing_keeps_nothing():
    net = network(Transform())
    net.freeze(batch()[0][0])
    assert net.population == {}


def test_with_transform_shares_parameters_and_leaves_the_network_as_it_is():
    net, (x, labels) = network(BatchTransform(EPS)), batch()
    before = net.forward(x)[0]
    other = net.with_transform(BatchTransform(10.0))
    assert other.params is net.params
    assert not torch.allclose(other.forward(x)[0], before)
    assert torch.equal(net.forward(x)[0], before)
    other.params["output.bias"] += 1
    assert_close(net.forward(x)[0], before + 1)
    other.gradients(x, labels)
    assert (net.updates, other.updates) == (0, 1)


class Centred(NamedTuple):
    x_hat: Tensor


class Centring(Affine):
    """γ (x − μ) + β."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def standardise(self, net, name, x, statistics):
        x_hat = x - x.mean(1, keepdim=True)
        return Transformed(x_hat, Centred(x_hat))

    def standardise_backward(self, dx_hat, state):
        return dx_hat - dx_hat.mean(1, keepdim=True)


@pytest.mark.parametrize("place", PLACES)
def test_gradients_of_a_subclass_of_affine_are_those_of_autograd(place):
    net, (x, labels) = network(Centring(place)), batch()

    def centring(params: dict[str, Tensor]) -> Normalise:
        def centre(values: Tensor, name: str) -> Tensor:
            centred = values - values.mean(1, keepdim=True)
            return params[f"{name}.gamma"] * centred + params[f"{name}.beta"]

        return centre

    grads, expected = net.gradients(x, labels)[1], autograd(net, x, labels, centring)[1]
    assert grads.keys() == expected.keys()
    for key, grad in grads.items():
        assert_close(grad, expected[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("place", PLACES)
def test_gradients_of_groups_are_those_of_autograd(place, activation):
    transform = BatchTransform(EPS, place=place, group=4)
    net, (x, labels) = network(transform, activation), batch()
    losses, grads = net.gradients(x, labels)
    expected, expected_grads = autograd(net, x, labels, lambda p: torch_batch_norm(p, 4))
    assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    assert grads.keys() == expected_grads.keys()
    for key, grad in grads.items():
        assert grad.shape == net.params[key].shape
        assert_close(grad, expected_grads[key], rtol=1e-9, atol=1e-12)


def test_moving_averages_of_groups_take_in_the_mean_over_groups():
    net, (x, labels) = network(BatchTransform(EPS, 0.3, group=4)), batch()
    net.gradients(x, labels)
    values = forward(net, net.params, x, torch_batch_norm(net.params, 4))[1]
    for name, value in zip(net.hidden, values, strict=True):
        groups = value.unflatten(1, (-1, 4))
        mean, var = groups.mean(2, keepdim=True), groups.var(2, correction=1, keepdim=True)
        assert_close(net.moving[f"{name}.mean"], 0.3 * mean.mean(1))
        assert_close(net.moving[f"{name}.var"], 0.7 + 0.3 * var.mean(1))


def test_frozen_statistics_are_those_of_the_whole_batch_whatever_the_groups():
    net, x = network(BatchTransform(EPS, group=4)), batch()[0][0]
    layers = net.freeze(x)
    whole = net.with_transform(BatchTransform(EPS)).forward(x)
    assert_close(net.forward(x, "population")[0], whole[0])
    assert_close(layers[1].a, whole[1][1].a)
