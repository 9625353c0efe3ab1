"""Layer Jacobians against autograd, and their spectra against theory."""

import math

import pytest
import torch

from bnrepro.config.schema import ModelConfig
from bnrepro.evidence.evidence import Evidence
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.models.transforms import BatchTransform
from bnrepro.seeding import stream
from experiments.jacobian.measure import (
    correlation,
    exact_row,
    excess_kurtosis,
    jacobian,
    nonlinearity,
    output_scale,
    random_row,
    slope,
    spectrum,
)
from experiments.jacobian.metrics import share_gain

N, UNITS, EPS = 40, 7, 1e-3


def network(norm: str, activation: str) -> tuple[SlotMLP, torch.Tensor]:
    """A float64 network with γ and β away from 1 and 0, and a probe."""
    model = ModelConfig([UNITS, UNITS], activation, norm, "normal", 0.5, EPS, 0.1)
    net = SlotMLP(model, [Slot(3, 0.1, 0.5)], 5, 10, dtype=torch.float64)
    for name, value in net.params.items():
        noise = torch.randn(value.shape, generator=stream(0, "test", name), dtype=value.dtype)
        value.add_(0.3 * noise)
    return net, torch.randn(N, 5, generator=stream(0, "test", "probe"), dtype=torch.float64)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_the_jacobian_is_that_of_autograd_with_frozen_statistics(norm, activation):
    net, probe = network(norm, activation)
    first, second = net.forward(probe)[1]
    x, z = first.a[0], second.a[0]
    weight, params = net.params["hidden2.weight"][0], net.params
    g = torch.sigmoid if activation == "sigmoid" else torch.relu
    wu = g(x) @ weight
    mean, var = wu.mean(0), wu.var(0, correction=0)

    def normalised(x_hat: torch.Tensor) -> torch.Tensor:
        """ẑ of one example's x̂, written out anew."""
        out = g(x_hat * x.std(0, correction=0) + x.mean(0)) @ weight
        if norm == "batch":
            out = (out - mean) / torch.sqrt(var + EPS)
            out = params["hidden2.gamma"][0, 0] * out + params["hidden2.beta"][0, 0]
        else:
            out = out + params["hidden2.bias"][0, 0]
        return (out - z.mean(0)) / z.std(0, correction=0)

    x_hat = (x - x.mean(0)) / x.std(0, correction=0)
    z_hat = (z - z.mean(0)) / z.std(0, correction=0)
    torch.testing.assert_close(normalised(x_hat[:1])[0], z_hat[0])
    scale = output_scale(net, "hidden2", second)[0]
    computed = jacobian(slope(x, net.sigmoid)[:3], weight, scale, x, z)
    for example in range(3):
        point = x_hat[example].clone().requires_grad_()
        out = normalised(point)
        rows = [torch.autograd.grad(value, point, retain_graph=True)[0] for value in out]
        torch.testing.assert_close(computed[example], torch.stack(rows), rtol=1e-10, atol=1e-12)


def test_the_scale_of_weights_and_gamma_does_not_change_the_jacobian_of_bn():
    net, probe = network("batch", "sigmoid")
    net.transform = BatchTransform(eps=0.0)
    other = net.with_transform(net.transform)
    other.params = dict(net.params)
    other.params["hidden2.weight"] = 5 * net.params["hidden2.weight"]
    other.params["hidden2.gamma"] = 3 * net.params["hidden2.gamma"]
    found = []
    for candidate in (net, other):
        first, second = candidate.forward(probe)[1]
        scale = output_scale(candidate, "hidden2", second)[0]
        weight = candidate.params["hidden2.weight"][0]
        slopes = slope(first.a[0], True)
        found.append(jacobian(slopes, weight, scale, first.a[0], second.a[0]))
    torch.testing.assert_close(*found)


def test_spectrum_counts_and_ranks():
    values = torch.tensor([3.0, 1.9, 1.0, 0.6, 0.1], dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=stream(0), dtype=torch.float64))[0]
    row = spectrum((rotation * values)[None])
    assert (row["share"], row["below"], row["above"]) == pytest.approx((0.6, 0.2, 0.2))
    assert (row["rank"], row["condition"]) == pytest.approx((1, math.log10(30)))
    assert (row["q0"], row["q50"], row["q100"]) == pytest.approx((0.1, 1, 3))
    values[4] = 0
    singular = spectrum((rotation * values)[None])
    assert singular["rank"] == pytest.approx(0.8)
    assert singular["condition"] is None
    assert spectrum(torch.full((1, 2, 2), math.nan))["share"] is None


def test_random_matrices_follow_the_quarter_circle_law():
    below_half = (0.25 * math.sqrt(3.75) + 2 * math.asin(0.25)) / math.pi
    row = random_row(200, 0, 5)
    assert row["share"] == pytest.approx(1 - below_half, abs=0.01)


def test_the_argument_holds_under_its_premises_and_not_for_unit_variance_alone():
    row = exact_row(30, 1)
    assert row["identity_error"] < 1e-11
    assert row["bn_diagonal_error"] < 1e-14
    assert row["bn_identity_error"] > 0.1


def test_premises_are_zero_where_they_hold():
    x = torch.randn(20000, 3, generator=stream(0, "test", "x"), dtype=torch.float64)
    assert correlation(x) < 0.02
    assert excess_kurtosis(x) < 0.1
    assert correlation(torch.stack([x[:, 0], -2 * x[:, 0]], 1)) == pytest.approx(1)
    uniform = torch.rand(20000, 2, generator=stream(0, "test", "u"), dtype=torch.float64)
    assert excess_kurtosis(uniform) == pytest.approx(1.2, abs=0.05)
    assert nonlinearity(torch.ones(4, 2, 2), torch.ones(2, 2)) == 0


def test_the_gain_is_paired_by_seed_and_taken_at_the_step_asked_for():
    rows = [
        {"matrix": "example", "activation": "sigmoid", "width": 4, "arm": arm, "seed": seed,
         "layer": layer, "step": step, "share": share + 0.1 * seed + 0.02 * layer}
        for arm, start, end in (("bn", 0.5, 0.6), ("baseline", 0.45, 0.3))
        for step, share in ((0, start), (9, end))
        for seed in (0, 1)
        for layer in (1, 2)
    ]  # fmt: skip
    evidence = Evidence(network=rows)
    claim = {"activation": "sigmoid", "width": 4, "arm": "bn", "against": "baseline"}
    assert share_gain(evidence, {**claim, "at": "first"}) == pytest.approx([0.05, 0.05])
    assert share_gain(evidence, {**claim, "at": "last"}) == pytest.approx([0.3, 0.3])
    rows[-1]["share"] = None
    assert share_gain(evidence, {**claim, "at": "last"})[1] is None
