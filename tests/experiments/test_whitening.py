"""The closed-form backward pass of whitening, and the arms around it."""

import math

import pytest
import torch
from torch import Tensor

from bnrepro.config.schema import ModelConfig
from bnrepro.evidence.evidence import Evidence
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.norm.whitening import whiten, whiten_backward
from bnrepro.seeding import stream
from experiments.whitening.cost import transform_passes
from experiments.whitening.figures import reached
from experiments.whitening.metrics import (
    cost_exponent,
    log_seconds_ratio,
    log_steps_ratio,
)
from experiments.whitening.transforms import transform_of

RIDGE = 1e-2
MODEL = ModelConfig([4, 3], "sigmoid", "none", "normal", 0.5, RIDGE, 0.1)


def network(arm: str, seeds: int) -> SlotMLP:
    slots = [Slot(seed, 1, 0.5) for seed in range(seeds)]
    transform = transform_of(arm, RIDGE)
    return SlotMLP(MODEL, slots, 6, 10, dtype=torch.float64, transform=transform)


def normal(*shape: int, name: str = "x") -> Tensor:
    return torch.randn(*shape, generator=stream(0, "test", name), dtype=torch.float64)


def inputs(m: int, d: int) -> Tensor:
    """Correlated inputs (2, m, d) with a mean."""
    return normal(2, m, d) @ normal(d, d, name="mix") + 3


class Whitening(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, ridge):
        ctx.state = whiten(x, ridge)
        return ctx.state.x_hat

    @staticmethod
    def backward(ctx, dx_hat):
        return whiten_backward(dx_hat, ctx.state), None


def by_iteration(x: Tensor, ridge: float) -> Tensor:
    """Whitening without eigenvectors: the coupled Newton iteration for Σ^(−1/2), autograd's way."""
    centred = x - x.mean(1, keepdim=True)
    eye = torch.eye(x.shape[2], dtype=x.dtype)
    sigma = centred.mT @ centred / x.shape[1] + ridge * eye
    norm = torch.linalg.matrix_norm(sigma, keepdim=True)
    y, z = sigma / norm, eye.expand_as(sigma)
    for _ in range(40):
        t = (3 * eye - z @ y) / 2
        y, z = y @ t, t @ z
    return centred @ z / norm.sqrt()


def test_whitened_values_have_no_mean_and_unit_covariance():
    x_hat = whiten(inputs(50, 6), 0.0).x_hat
    torch.testing.assert_close(x_hat.mean(1), torch.zeros(2, 6, dtype=x_hat.dtype))
    eye = torch.eye(6, dtype=x_hat.dtype).expand(2, 6, 6)
    torch.testing.assert_close(x_hat.mT @ x_hat / 50, eye, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("m", "ridge"), [(30, 0.0), (30, 0.1), (4, 0.05)])
def test_the_backward_pass_is_autograds_through_another_route(m, ridge):
    x = inputs(m, 5).requires_grad_()
    d = normal(2, m, 5, name="d")
    x_hat = by_iteration(x, ridge)
    (theirs,) = torch.autograd.grad(x_hat, x, d)
    forward = whiten(x.detach(), ridge)
    torch.testing.assert_close(forward.x_hat, x_hat.detach(), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(whiten_backward(d, forward), theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("m", "ridge"), [(12, 0.0), (3, 0.1)])
def test_the_backward_pass_passes_gradcheck(m, ridge):
    x = inputs(m, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: Whitening.apply(v, ridge), (x,))


def test_equal_eigenvalues_are_no_special_case():
    """x with covariance I exactly: every pair of eigenvalues coincides."""
    x = whiten(inputs(20, 4), 0.0).x_hat.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: Whitening.apply(v, 0.0), (x,))


def test_whitening_one_unit_is_bn():
    x, d = inputs(9, 1), normal(2, 9, 1, name="d")
    passes = transform_passes(1e-3)
    ours, bn = (passes[arm].forward(x) for arm in ("whiten", "bn"))
    torch.testing.assert_close(ours.x_hat, bn.x_hat)
    theirs = passes["bn"].backward(d, bn)
    torch.testing.assert_close(passes["whiten"].backward(d, ours), theirs)


def test_values_that_are_not_finite_leave_the_other_networks_as_they_are():
    x = inputs(20, 3)
    alone = whiten(x[:1], 1e-5).x_hat
    x[1, 0, 0] = math.nan
    x_hat = whiten(x, 1e-5).x_hat
    torch.testing.assert_close(x_hat[:1], alone)
    assert x_hat[1].isnan().any()


@pytest.mark.parametrize("arm", ["centre", "bn", "whiten"])
def test_a_networks_gradients_equal_autograds(arm):
    net = network(arm, seeds=2)
    x, labels = normal(2, 15, 6), torch.arange(30).view(2, 15) % 10
    for name, value in net.params.items():
        value.add_(0.1 * normal(*value.shape, name=name))
    losses, ours = net.gradients(x, labels)
    leaves = {k: v.clone().requires_grad_() for k, v in net.params.items()}
    u = x
    for name in net.hidden:
        wu = u @ leaves[f"{name}.weight"]
        centred = wu - wu.mean(1, keepdim=True)
        scale = (centred.square().mean(1, keepdim=True) + RIDGE).rsqrt()
        x_hat = {"centre": centred, "bn": centred * scale}.get(arm)
        x_hat = by_iteration(wu, RIDGE) if x_hat is None else x_hat
        u = torch.sigmoid(leaves[f"{name}.gamma"] * x_hat + leaves[f"{name}.beta"])
    logits = u @ leaves["output.weight"] + leaves["output.bias"]
    log_p = torch.log_softmax(logits, -1).gather(-1, labels[..., None])
    expected = -log_p.mean((1, 2))
    theirs = torch.autograd.grad(expected.sum(), list(leaves.values()))
    torch.testing.assert_close(losses, expected.detach())
    for (name, _), grad in zip(leaves.items(), theirs, strict=True):
        torch.testing.assert_close(ours[name], grad, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("arm", ["centre", "bn", "whiten"])
def test_frozen_statistics_reproduce_the_batch_they_came_from(arm):
    net = network(arm, seeds=1)
    x = normal(25, 6)
    net.freeze(x)
    batch, frozen = net.forward(x, "batch")[0], net.forward(x, "population")[0]
    torch.testing.assert_close(batch, frozen)
    torch.testing.assert_close(net.forward(x[:1], "population")[0], frozen[:, :1])


def evidence_of(curves: dict[str, list[float]]) -> Evidence:
    key = {"batch": 8, "ridge": 1, "seed": 0}
    training = [
        {**key, "arm": arm, "step": 10 * (i + 1), "accuracy": accuracy}
        for arm, values in curves.items()
        for i, accuracy in enumerate(values)
    ]
    seconds = {"baseline": 1.0, "bn": 2.0, "whiten": 6.0}
    cost = [{"batch": 8, "arm": arm, "seconds": value} for arm, value in seconds.items()]
    return Evidence(training=training, step_cost=cost)


def test_ratios_of_steps_and_seconds():
    evidence = evidence_of(
        {"baseline": [0.1, 0.2, 0.5, 0.4], "bn": [0.5] * 4, "whiten": [0.3, 0.6, 0.6, 0.6]}
    )
    ratio = log_steps_ratio(evidence, {"arm": "bn", "against": "baseline"})
    assert ratio == pytest.approx([math.log(30 / 10)])
    ratio = log_seconds_ratio(evidence, {"arm": "bn", "against": "whiten"})
    assert ratio == pytest.approx([math.log(20 * 6 / (10 * 2))])
    never = evidence_of({"baseline": [0.5], "bn": [0.4], "whiten": [0.4]})
    assert log_steps_ratio(never, {"arm": "bn", "against": "baseline"}) == [None]


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        ([True, True], "10, 20.00 s"),
        ([True, False], "never (never: 1 of 2)"),  # the upper median is one that never arrives
        ([True, True, False], "10, 20.00 s (never: 1 of 3)"),
    ],
)
def test_a_median_seed_that_never_arrives_has_neither_steps_nor_seconds(arrivals, expected):
    each = [evidence_of({"baseline": [0.5], "bn": [0.5 if a else 0.4]}) for a in arrivals]
    training = [row | {"seed": i} for i, e in enumerate(each) for row in e.training]
    evidence = Evidence(**{**each[0].tables, "training": training})
    assert reached(evidence, "bn", 1.0) == expected


def test_the_exponent_is_fitted_on_wide_layers_alone():
    rows = [
        {"arm": "whiten", "width": d, "seconds": d**3 if d >= 256 else 1.0}
        for d in (32, 64, 256, 512, 1024)
    ]
    assert cost_exponent(Evidence(cost=rows), "whiten") == pytest.approx(3)
