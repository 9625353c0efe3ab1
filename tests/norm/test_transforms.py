"""Derivatives of the layer of any order and mode, and `torch.func`, against plain arithmetic."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import (
    functional_call,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vjp,
    vmap,
)
from torch.testing import assert_close

from bnrepro.norm import BatchNorm
from bnrepro.norm.autograd import _PaperBatchNorm

torch.set_num_threads(1)

EXACT = {"rtol": 1e-10, "atol": 1e-10}
EPS = 1e-3
CASES = [((4, 3), (0,)), ((2, 4, 2), (1,)), ((3, 2, 2, 2), (0, 2, 3))]
ENGINES = ["paper", "torch"]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def inputs(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    x = draw(*shape)
    small = x.sum(dims, keepdim=True).shape
    return x, 1 + 0.3 * draw(*small, seed=1), draw(*small, seed=2)


def step(dims: tuple[int, ...]) -> Callable[..., Tensor]:
    return lambda x, gamma, beta: _PaperBatchNorm.apply(x, gamma, beta, dims, EPS, False)[0]


def arithmetic(dims: tuple[int, ...]) -> Callable[..., Tensor]:
    def compute(x, gamma, beta):
        centred = x - x.mean(dims, keepdim=True)
        return gamma * centred / (centred.square().mean(dims, keepdim=True) + EPS).sqrt() + beta

    return compute


@pytest.mark.parametrize(("shape", "dims"), CASES)
def test_first_and_second_derivatives_in_both_modes_and_batched(shape, dims):
    tensors = [t.requires_grad_() for t in inputs(shape, dims)]
    every = {"check_batched_grad": True}
    forward = {"check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(step(dims), tensors, **every, **forward)
    assert torch.autograd.gradgradcheck(step(dims), tensors, **every, check_fwd_over_rev=True)


@pytest.mark.parametrize("outer", [jacrev, jacfwd])
def test_third_derivatives(outer):
    """`F.batch_norm` is no reference here: its third derivative is wrong."""
    x, gamma, beta = inputs((4, 2), (0,))

    def third(function):
        return outer(jacrev(jacrev(lambda x: function((0,))(x, gamma, beta).tanh()[0, 0])))(x)

    assert_close(third(step), third(arithmetic), **EXACT)


TRANSFORMS: dict[str, Callable[[Callable[..., Tensor], tuple[Tensor, ...]], Any]] = {
    "grad": lambda f, t: grad(lambda *t: f(*t).tanh().sum(), argnums=(0, 1, 2))(*t),
    "vjp": lambda f, t: vjp(f, *t)[1](draw(*t[0].shape, seed=5)),
    "jvp": lambda f, t: jvp(f, t, tuple(draw(*v.shape, seed=6) for v in t)),
    "jvp of γ": lambda f, t: jvp(lambda g: f(t[0], g, t[2]), (t[1],), (t[2],)),
    "jvp of β": lambda f, t: jvp(lambda b: f(t[0], t[1], b), (t[2],), (t[1],)),
    "jacrev": lambda f, t: jacrev(f, argnums=(0, 1, 2))(*t),
    "jacrev in chunks": lambda f, t: jacrev(f, chunk_size=2)(*t),
    "jacfwd": lambda f, t: jacfwd(f, argnums=(0, 1, 2))(*t),
    "hessian": lambda f, t: hessian(lambda *t: f(*t).tanh().sum(), argnums=(0, 1))(*t),
    "reverse over forward": lambda f, t: jacrev(jacfwd(lambda x: f(x, *t[1:]).tanh().sum()))(t[0]),
    "vmap": lambda f, t: vmap(f)(*(torch.stack([v, v.flip(0) + 1]) for v in t)),
    "vmap of last": lambda f, t: vmap(f, in_dims=-1, out_dims=1)(
        *(torch.stack([v, 2 * v], -1) for v in t)
    ),
    "vmap of x": lambda f, t: vmap(lambda x: f(x, *t[1:]))(torch.stack([t[0], t[0] + t[0] ** 2])),
    "vmap of γ": lambda f, t: vmap(lambda g: f(t[0], g, t[2]))(torch.stack([t[1], 2 * t[1]])),
    "vmap of β": lambda f, t: vmap(lambda b: f(t[0], t[1], b))(torch.stack([t[2], 2 * t[2]])),
    "vmap in vmap": lambda f, t: vmap(
        lambda x: vmap(lambda g: f(x, g, t[2]))(torch.stack([t[1], 2 * t[1], -t[1]]))
    )(torch.stack([t[0], t[0] ** 2])),
    "grad in vmap": lambda f, t: vmap(grad(lambda g: f(t[0], g, t[2]).tanh().sum()))(
        torch.stack([t[1], 2 * t[1]])
    ),
    "vmap in grad": lambda f, t: grad(
        lambda g: vmap(lambda x: f(x, g, t[2]))(torch.stack([t[0], t[0] ** 2])).tanh().sum()
    )(t[1]),
    "jvp in vmap": lambda f, t: vmap(lambda x, v: jvp(lambda x: f(x, *t[1:]), (x,), (v,)))(
        draw(2, *t[0].shape), draw(2, *t[0].shape, seed=8)
    ),
}


@pytest.mark.parametrize(("shape", "dims"), CASES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_equal_those_of_plain_arithmetic(name, shape, dims):
    transform, tensors = TRANSFORMS[name], inputs(shape, dims)
    assert_close(transform(step(dims), tensors), transform(arithmetic(dims), tensors), **EXACT)


def twins(**options: Any) -> list[nn.Module]:
    """Networks with this package's layer by either engine, and with PyTorch's; same parameters."""
    torch.manual_seed(0)
    norms = [BatchNorm(4, engine=engine, **options) for engine in ENGINES]
    layers = (nn.Linear(3, 4), nn.BatchNorm1d(4, **options), nn.Tanh(), nn.Linear(4, 1))
    network = nn.Sequential(*layers).double()
    others = [copy.deepcopy(network) for _ in norms]
    for other, norm in zip(others, norms, strict=True):
        other[1] = norm.double()
    return [*others, network]


def loss(network: nn.Module, parameters: dict, buffers: dict, x: Tensor) -> Tensor:
    return functional_call(network, (parameters, buffers), (x,)).pow(3).mean()


def test_gradients_and_running_statistics_by_functional_call_equal_torchs():
    results = []
    for network in twins():
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        parameters = dict(network.named_parameters())
        slope = grad(lambda p, b, n=network: loss(n, p, b, draw(5, 3)))(parameters, buffers)
        results.append((slope, buffers))
        assert network[1].num_batches_tracked == 0
    assert results[0][1]["1.num_batches_tracked"] == 1
    for result in results[:-1]:
        assert_close(result, results[-1], **EXACT)


def test_an_ensemble_in_training_mode_equals_its_members_one_by_one():
    members = [twins()[0] for _ in range(3)]
    for number, member in enumerate(members):
        nn.init.normal_(member[1].weight, generator=torch.Generator().manual_seed(number))
    parameters, buffers = stack_module_state(members)
    skeleton = copy.deepcopy(members[0]).to("meta")
    slopes = vmap(grad(lambda p, b, x: loss(skeleton, p, b, x)), in_dims=(0, 0, None))(
        parameters, buffers, draw(5, 3)
    )
    for number, member in enumerate(members):
        member(draw(5, 3)).pow(3).mean().backward()
        for name, parameter in member.named_parameters():
            assert_close(slopes[name][number], parameter.grad, **EXACT)
        for name, buffer in member.named_buffers():
            assert_close(buffers[name][number], buffer, **EXACT)


@pytest.mark.parametrize("training", [True, False])
def test_torchs_patch_for_mapped_batches_normalises_each_batch_by_itself(training):
    networks = [replace_all_batch_norm_modules_(n).train(training) for n in twins()]
    x = draw(6, 5, 3)
    expected = torch.stack([networks[-1](batch) for batch in x])
    for network in networks[:-1]:
        assert_close(vmap(network)(x), expected, **EXACT)
        assert network[1].running_mean is None


@pytest.mark.parametrize("transform", [vmap, jacrev, lambda n: lambda x: jvp(n, (x,), (x,))])
def test_captured_running_statistics_are_refused_as_torchs_are(transform):
    """A mapped or differentiated batch cannot go into statistics from outside."""
    for network in twins():
        with pytest.raises(RuntimeError, match=r"in-place|updated in place|not possible"):
            transform(network)(draw(2, 5, 3) if transform is vmap else draw(5, 3))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("features", [3, (3,)])
def test_untracked_layers_use_the_batch_in_training_and_keep_their_statistics(features, engine):
    layer, theirs = BatchNorm(features, engine=engine).double(), nn.BatchNorm1d(3).double()
    for norm in (layer, theirs):
        norm.running_mean.fill_(2)
        norm.track_running_stats = False
    for training in (True, False):
        x = draw(5, 3)
        assert_close(layer.train(training)(x), theirs.train(training)(x), **EXACT)
    assert_close(dict(layer.state_dict()), dict(theirs.state_dict()))
    assert layer.running_mean.eq(2).all()


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_layer_compiles_in_one_piece(dynamic):
    layer = BatchNorm(3).double()
    plain = copy.deepcopy(layer)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    for size in (5, 6):
        x, z = (draw(size, 3, 2).requires_grad_() for _ in range(2))
        compiled(x).pow(3).sum().backward()
        plain(z).pow(3).sum().backward()
        assert_close(x.grad, z.grad, **EXACT)
    assert_close(dict(layer.state_dict()), dict(plain.state_dict()), **EXACT)
