"""Algorithm 1 and its gradients against the printed equations, autograd and identities."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from bnrepro.norm import normalize, normalize_backward

torch.set_num_threads(1)

EXACT = {"rtol": 1e-12, "atol": 1e-12}
CASES = [((6, 3), 0), ((2, 3), 0), ((2, 5, 3), 1), ((4, 3, 2, 2), (0, 2, 3)), ((4, 3, 2), (0,))]
EPS = 1e-3


def draw(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def parameters(x: torch.Tensor, dims) -> tuple[torch.Tensor, torch.Tensor]:
    shape = x.sum(dims, keepdim=True).shape
    return 1 + 0.3 * draw(shape, 1), draw(shape, 2)


def six_equations(x, dy, gamma, dims, eps):
    """Section 3 as printed, before any simplification."""
    m = x.numel() // gamma.numel()
    mean = x.mean(dims, keepdim=True)
    var = ((x - mean) ** 2).mean(dims, keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)

    def total(values):
        return values.sum(dims, keepdim=True)

    dx_hat = dy * gamma
    dvar = total(dx_hat * (x - mean) * (-1 / 2) * (var + eps) ** (-3 / 2))
    dmean = total(dx_hat * (-1 / torch.sqrt(var + eps))) + dvar * total(-2 * (x - mean)) / m
    dx = dx_hat / torch.sqrt(var + eps) + dvar * 2 * (x - mean) / m + dmean / m
    return dx, total(dy * x_hat), total(dy)


@pytest.mark.parametrize(("shape", "dims"), CASES)
def test_closed_form_equals_the_six_printed_equations(shape, dims):
    x, dy = 3 + 2 * draw(shape), draw(shape, 3)
    gamma, _ = parameters(x, dims)
    result = normalize(x, dims, EPS)
    got = normalize_backward(dy, result.x_hat, gamma, result.inv_std, dims)
    for value, expected in zip(got, six_equations(x, dy, gamma, dims, EPS), strict=True):
        assert_close(value, expected, **EXACT)
    assert got[1].shape == got[2].shape == gamma.shape


@pytest.mark.parametrize(("shape", "dims"), CASES)
def test_closed_form_equals_autograd_through_algorithm_1(shape, dims):
    x = (3 + 2 * draw(shape)).requires_grad_()
    gamma, beta = (p.requires_grad_() for p in parameters(x, dims))
    dy = draw(shape, 3)
    result = normalize(x, dims, EPS)
    by_autograd = torch.autograd.grad(gamma * result.x_hat + beta, (x, gamma, beta), dy)
    with torch.no_grad():
        got = normalize_backward(dy, result.x_hat, gamma, result.inv_std, dims)
    for value, expected in zip(got, by_autograd, strict=True):
        assert_close(value, expected, **EXACT)


@pytest.mark.parametrize(("shape", "dims"), CASES)
def test_statistics_are_those_of_torch(shape, dims):
    x = 3 + 2 * draw(shape)
    result = normalize(x, dims, EPS)
    var, mean = torch.var_mean(x, dims, keepdim=True, correction=0)
    assert_close(result.mean, mean, **EXACT)
    assert_close(result.var, var, **EXACT)
    assert_close(result.inv_std, 1 / torch.sqrt(var + EPS), **EXACT)
    assert_close(result.x_hat, (x - mean) / torch.sqrt(var + EPS), **EXACT)


@pytest.mark.parametrize("dims", [0, (0,), 1, (0, 2), (0, 1, 2), (-1, -3)])
def test_float32_statistics_survive_a_large_mean(dims):
    """E[x²] − E[x]² would lose every digit here."""
    x = draw((60, 40, 30)).float() - 1e6
    exact = normalize(x.double(), dims, EPS)
    got = normalize(x, dims, EPS)
    assert_close(got.var.double(), exact.var, rtol=2e-6, atol=0)
    assert_close(got.x_hat.double(), exact.x_hat, rtol=0, atol=1e-5)
    assert_close(got.mean.double(), exact.mean, rtol=1e-7, atol=0)


def test_gradgradcheck_of_normalize():
    x = draw((4, 2)).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: normalize(x, 0, EPS).x_hat, (x,))


def test_slots_do_not_see_each_other():
    x = draw((3, 8, 4))
    changed = x.clone()
    changed[1] = float("nan")
    kept = [0, 2]
    assert torch.equal(normalize(changed, 1, EPS).x_hat[kept], normalize(x, 1, EPS).x_hat[kept])
    assert_close(normalize(x, 1, EPS).x_hat[1], normalize(x[1], 0, EPS).x_hat, **EXACT)


@st.composite
def batches(draw_from):
    m, features = draw_from(st.integers(2, 40)), draw_from(st.integers(1, 5))
    scale, offset = draw_from(st.floats(0.01, 100)), draw_from(st.floats(-100, 100))
    return offset + scale * draw((m, features), draw_from(st.integers(0, 10_000)))


identity = settings(max_examples=40, deadline=None, derandomize=True)
epsilons = st.sampled_from([1e-8, 1e-5, 1e-3, 0.1])
CLOSE = {"rtol": 1e-7, "atol": 1e-7}  # an offset of 100 against a scale of 0.01 costs 4 digits


@identity
@given(batches(), epsilons)
def test_mean_is_zero_and_mean_square_is_var_over_var_plus_eps(x, eps):
    result = normalize(x, 0, eps)
    assert_close(result.x_hat.mean(0), torch.zeros_like(x[0]), **CLOSE)
    assert_close(
        result.x_hat.square().mean(0, keepdim=True), result.var / (result.var + eps), **CLOSE
    )


@identity
@given(batches(), epsilons, st.floats(-100, 100))
def test_shift_of_the_input_changes_nothing(x, eps, shift):
    assert_close(normalize(x + shift, 0, eps).x_hat, normalize(x, 0, eps).x_hat, **CLOSE)


@identity
@given(batches(), epsilons, st.floats(0.01, 100), st.sampled_from([-1, 1]))
def test_scale_of_the_input_rescales_eps_and_its_sign_comes_through(x, eps, size, sign):
    scaled = normalize(sign * size * x, 0, eps).x_hat
    assert_close(scaled, sign * normalize(x, 0, eps / size**2).x_hat, **CLOSE)


@identity
@given(batches(), epsilons)
def test_identity_is_recovered_with_gamma_the_root_of_var_plus_eps(x, eps):
    result = normalize(x, 0, eps)
    assert_close(torch.sqrt(result.var + eps) * result.x_hat + result.mean, x, **EXACT)


@identity
@given(batches(), epsilons, st.randoms(use_true_random=False))
def test_permuting_the_batch_permutes_the_output(x, eps, random):
    order = random.sample(range(len(x)), len(x))
    assert_close(normalize(x[order], 0, eps).x_hat, normalize(x, 0, eps).x_hat[order], **CLOSE)
