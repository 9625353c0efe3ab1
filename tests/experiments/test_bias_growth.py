"""Section 2's bias: gradients against autograd, and its exact growth."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from bnrepro.config import compose
from bnrepro.config.schema import ModelConfig
from bnrepro.data import synthetic
from bnrepro.evidence.evidence import Evidence
from bnrepro.models.mlp import Slot, SlotMLP
from experiments.bias_growth import metrics
from experiments.bias_growth.__main__ import main
from experiments.bias_growth.measure import (
    exact_rows,
    layer_input,
    top_weight,
    training_rows,
)
from experiments.bias_growth.transforms import Arm, Normalisation

EPS = 1e-5
MODEL = ModelConfig([7, 5], "sigmoid", "none", "normal", 0.5, EPS, 0.1)
ARMS = [Arm(t, g) for t in ("centre", "scale") for g in ("through", "outside")]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cfg():
    return compose("bias_growth", ["scale=smoke"])


@pytest.fixture(scope="module")
def data():
    return synthetic(300, 20)


@pytest.fixture
def batch():
    x = torch.randn(1, 12, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.arange(12).view(1, 12) % 4


def network(arm):
    transform = Normalisation(arm, EPS)
    net = SlotMLP(MODEL, [Slot(3, 0.1, 0.5)], 6, 4, dtype=torch.float64, transform=transform)
    for name in net.hidden:
        net.params[f"{name}.bias"] += 0.3
    return net


def reference_loss(net, arm, x, labels):
    """The same network by plain autograd, statistics detached where the arm says so."""
    u = x
    for name in net.hidden:
        x = u @ net.params[f"{name}.weight"] + net.params[f"{name}.bias"]
        seen = x if arm.gradient == "through" else x.detach()
        x_hat = x - seen.mean(1, keepdim=True)
        if arm.transform == "scale":
            x_hat = x_hat / (seen.var(1, correction=0, keepdim=True) + EPS).sqrt()
        u = torch.sigmoid(x_hat)
    logits = u @ net.params["output.weight"] + net.params["output.bias"]
    return F.cross_entropy(logits[0], labels[0])


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_gradients_equal_autograds(arm, batch):
    net = network(arm)
    losses, grads = net.gradients(*batch)
    leaves = {k: v.detach().requires_grad_() for k, v in net.params.items()}
    net.params = leaves
    loss = reference_loss(net, arm, *batch)
    expected = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    assert_close(losses[0], loss)
    assert set(grads) == set(expected)
    for name, grad in expected.items():
        assert_close(grads[name], grad, rtol=1e-9, atol=1e-14)


def test_only_the_gradient_differs_between_through_and_outside(batch):
    losses = [
        network(Arm("scale", gradient)).gradients(*batch)[0] for gradient in ("through", "outside")
    ]
    assert_close(losses[0], losses[1], rtol=0, atol=0)


def test_statistics_are_held_between_refreshes(batch):
    net = network(Arm("scale", "outside", every=3))
    seen = []
    for _ in range(4):
        net.gradients(*batch)
        seen.append(net.transform.held["hidden1"].mean.clone())
        net.params["hidden1.bias"] += 1
    assert_close(seen[2], seen[0], rtol=0, atol=0)
    assert_close(seen[3], seen[0] + 3)


def test_bias_moves_by_the_papers_step_every_time(cfg, data):
    """Δb = −lr Σ ∂ℓ/∂x̂, with ∂ℓ/∂x̂ written out by hand; t steps make t times as much."""
    rows = list(exact_rows(cfg, data, CPU, 0, Arm("centre", "outside")))
    u, labels = layer_input(cfg, data, 0)
    top = top_weight(cfg, 0).double()
    z = torch.sigmoid(u - u.mean(0))
    error = torch.softmax(z @ top, 1) - F.one_hot(labels, 10)
    step = cfg.exact_lr * (error @ top.T * z * (1 - z)).sum(0) / len(u)
    size = float(step.square().mean().sqrt())
    for row in rows:
        assert row["bias"] == pytest.approx(row["step"] * size, rel=1e-9)
    assert [row["step"] for row in rows] == [1, 10, 20, 30, 40]
    assert max(row["step_deviation"] for row in rows) < 1e-10
    assert max(row["loss_deviation"] for row in rows) < 1e-10


def test_gradient_through_the_mean_leaves_the_bias(cfg, data):
    rows = list(exact_rows(cfg, data, CPU, 0, Arm("centre", "through")))
    assert max(row["bias"] for row in rows) < 1e-12
    assert min(row["drive"] for row in rows) > 1e-4  # although ∂ℓ/∂x̂ does not vanish


def test_layer_above_changes_the_step(cfg, data):
    rows = list(exact_rows(cfg, data, CPU, 0, Arm("centre", "outside"), above=True))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["step_deviation"] > 1e-3


def test_training_rows_describe_every_network_and_stop(cfg, data):
    rows = list(training_rows(cfg, data, CPU, "relu", Arm("scale", "through")))
    assert len(rows) == len(cfg.lr) * cfg.seeds * len(cfg.stops)
    assert max(row["bias"] for row in rows) < 1e-5  # the gradient through the statistics is zero
    outside = list(training_rows(cfg, data, CPU, "relu", Arm("scale", "outside")))
    assert min(row["bias"] for row in outside) > 1e-4
    assert outside[0]["drift"] * outside[0]["lr"] * 5 == pytest.approx(outside[0]["bias"], rel=1e-5)


def test_diverged_networks_count_as_blown_up():
    base = {"activation": "relu", "every": 1, "seed": 0, "lr": 1.0, "step": 5}
    arms = [
        ("scale", "through", 0.3),
        ("scale", "outside", None),
        ("centre", "through", 9.0),
        ("centre", "outside", 9.0),
    ]
    rows = [base | {"transform": t, "gradient": g, "loss": loss} for t, g, loss in arms]
    evidence = Evidence(training=rows)
    assert metrics.blown_up_rates(evidence, {"every": 1}) == [1.0]
    assert metrics.extra_blown_up_cells(evidence, {}) == [0.0]  # centring blew up just as well
    rows[0]["loss"] = 9.0  # where BN blows up nothing counts
    assert metrics.blown_up_rates(evidence, {"every": 1}) == [0.0]
    assert math.isclose(metrics.LIMIT, 4.605, abs_tol=1e-3)


def test_what_scaling_is_counted_against_decides():
    losses = {  # by rate: BN, centring through the mean; scaling and centring outside the step
        1.0: (0.3, 9.0, 0.3, 9.0),
        2.0: (0.3, 0.3, 9.0, 0.3),
        3.0: (0.3, 0.3, 9.0, 9.0),
        4.0: (9.0, 0.3, 9.0, 0.3),
    }
    arms = [
        ("scale", "through"),
        ("centre", "through"),
        ("scale", "outside"),
        ("centre", "outside"),
    ]
    cell = {"activation": "relu", "every": 1, "seed": 0, "step": 5}
    evidence = Evidence(training=[
        cell | {"lr": lr, "transform": t, "gradient": g, "loss": loss}
        for lr, each in losses.items() for (t, g), loss in zip(arms, each, strict=True)
    ])  # fmt: skip
    assert metrics.extra_blown_up_cells(evidence, {}) == [2.0 - 2.0]  # rates 1, 2, 3
    assert metrics.extra_cells_both_bounded(evidence, {}) == [2.0 - 1.0]  # rates 2, 3
    share = metrics.extra_share_than_inside(evidence, {})
    assert share == pytest.approx([2 / 3 - 1 / 3])  # of the rates 1, 2, 3 and of 2, 3, 4


def test_unknown_activation_is_refused_in_one_line(run, tmp_path, capsys):
    assert run(main, ["scale=smoke", "activations=[tanh]", f"results={tmp_path}"]) == 2
    assert "activations=tanh: allowed are sigmoid, relu" in capsys.readouterr().err
