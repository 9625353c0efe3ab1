"""The layer in float32 far from zero, against the exact statistics of the same values."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bnrepro.norm import BatchNorm, normalize

torch.set_num_threads(1)

BOUND = 16 * torch.finfo(torch.float32).eps
MEANS = [0, -1e3, 1e6, -1e7]
SHAPES = {
    "features": (64, 5),
    "three examples": (3, 5),
    "many rows": (50_000, 2),
    "sequences": (16, 3, 333),
    "many short sequences": (30_000, 2, 4),
    "maps": (32, 3, 28, 28),
    "many small maps": (5_000, 2, 6, 6),
    "large maps": (4, 2, 200, 200),
}


def draw(shape: tuple[int, ...], seed: int, mean: float = 0) -> torch.Tensor:
    """Values whose deviation float32 resolves at their mean; the channels' means differ a bit."""
    generator = torch.Generator().manual_seed(seed)
    channels = 1 + 0.001 * torch.arange(shape[1]).view(1, -1, *[1] * (len(shape) - 2))
    return mean * channels + 2 * torch.randn(shape, generator=generator)


def strided(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same values in another memory layout."""
    if layout == "contiguous":
        return x
    if layout == "channels last":
        return x.movedim(1, -1).contiguous().movedim(-1, 1)
    if layout == "examples last":
        return x.movedim(0, -1).contiguous().movedim(-1, 0)
    return torch.stack([x, x.flip(0)], -1)[..., 0]  # every second value


LAYOUTS = ["contiguous", "channels last", "examples last", "every second value"]


def record(layer: nn.Module, x: torch.Tensor, dy: torch.Tensor) -> dict[str, torch.Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer.train()(x)
    y.backward(dy)
    assert x.grad is not None
    return {"y": y.detach(), "dx": x.grad, "var": layer.running_var.clone()}


def errors(
    got: dict[str, torch.Tensor], exact: dict[str, torch.Tensor], dy: torch.Tensor
) -> dict[str, float]:
    """Of y and dx the largest error over the largest y and dy/√(σ² + ε); of σ² the relative one."""
    m = dy.numel() // exact["var"].numel()
    std = (exact["var"].min() * (m - 1) / m + 1e-5).sqrt()
    scales = {"y": exact["y"].abs().max(), "dx": dy.abs().max() / std, "var": exact["var"]}
    return {
        name: ((got[name].double() - exact[name]) / scale).abs().max().item()
        for name, scale in scales.items()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", SHAPES)
def test_training_stays_within_the_stated_bound_and_no_worse_than_torch(name, layout):
    shape = SHAPES[name]
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    for mean in MEANS:
        x, dy = strided(draw(shape, 1, mean), layout), draw(shape, 2)
        exact = record(BatchNorm(shape[1], momentum=1.0).double(), x.double(), dy.double())
        got = errors(record(BatchNorm(shape[1], momentum=1.0), x, dy), exact, dy)
        theirs = errors(record(kind(shape[1], momentum=1.0), x, dy), exact, dy)
        for value, error in got.items():
            assert error <= BOUND, (mean, value)
            assert error <= theirs[value] + BOUND / 4, (mean, value)


@pytest.mark.parametrize("mean", MEANS)
def test_the_exact_layer_is_exact(mean):
    """The reference above, float64, against statistics by `torch.var_mean` of shifted values."""
    x = draw((16, 3, 333), 1, mean).double()
    shifted = x - x[:1, :, :1]  # exact: the values are float32's
    var, offset = torch.var_mean(shifted, (0, 2), keepdim=True, correction=0)
    layer = BatchNorm(3, momentum=1.0).double()
    assert_close(layer(x), (shifted - offset) / torch.sqrt(var + layer.eps), rtol=0, atol=1e-8)
    assert_close(layer.running_var, x.shape[2] * 16 / (x.shape[2] * 16 - 1) * var.flatten())


@pytest.mark.parametrize("mean", MEANS)
def test_per_activation_statistics_stay_within_the_bound(mean):
    x, dy = draw((50, 3, 4), 1, mean), draw((50, 3, 4), 2)
    exact = record(BatchNorm((3, 4), momentum=1.0).double(), x.double(), dy.double())
    got = errors(record(BatchNorm((3, 4), momentum=1.0), x, dy), exact, dy)
    assert max(got.values()) <= BOUND


@pytest.mark.parametrize("mean", MEANS)
def test_inference_subtracts_the_mean_before_it_scales(mean):
    layer = BatchNorm(3, momentum=1.0)
    x = draw((32, 3, 7, 7), 1, mean)
    layer(x)
    layer.eval()
    expected = BatchNorm(3).double()
    expected.load_state_dict(layer.state_dict())
    exact = expected.eval()(x.double())
    assert ((layer(x) - exact).abs().max() / exact.abs().max()).item() <= BOUND


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.5, -1e7])
def test_a_constant_feature_has_no_variance(value):
    layer = BatchNorm(2, momentum=1.0)
    y = layer(torch.full((1000, 2, 3, 3), value))
    assert layer.running_var.max() <= 1e-12
    assert y.abs().max() <= 1e-3


def test_16_bit_inputs_far_from_zero_are_normalised_in_float32():
    x = draw((64, 3, 9, 9), 1, 1000).bfloat16()  # a step of 8 there
    y = BatchNorm(3)(x)
    exact = BatchNorm(3).double()(x.double())
    assert y.dtype == torch.bfloat16
    assert_close(y.double(), exact, rtol=torch.finfo(torch.bfloat16).eps, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 60, 100), (3, 2, 4)])
def test_without_the_correction_the_two_plain_passes_are_kept_to_the_bit(shape):
    x = draw(shape, 1, 3.0)
    result = normalize(x, (1,), 1e-5, corrected=False)
    mean = x.sum(1, keepdim=True) / shape[1]
    centred = x - mean
    var = (centred * centred).sum(1, keepdim=True) / shape[1]
    inv_std = (var + 1e-5).rsqrt()
    for got, expected in zip(result, (centred * inv_std, mean, var, inv_std), strict=True):
        assert torch.equal(got, expected)


def test_the_correction_is_what_holds_the_bound():
    x = draw((2000, 3), 1, 1e6)
    exact = x.double().var(0, keepdim=True, correction=0)

    def error(corrected):
        var = normalize(x, (0,), 0.0, corrected).var
        return ((var - exact) / exact).abs().max().item()

    assert error(True) <= BOUND < error(False)
