"""`BatchNorm` against PyTorch's layers: outputs, gradients, running statistics, checkpoints."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import update_bn
from torch.testing import assert_close

from bnrepro.errors import UserError
from bnrepro.norm import BatchNorm

torch.set_num_threads(1)

EXACT = {"rtol": 1e-12, "atol": 1e-12}
SINGLE = {"rtol": 5e-6, "atol": 5e-6}  # float32: PyTorch's CPU kernel adds up in double, ours not
SHAPES = [(60, 5), (2, 5), (4, 5, 7), (3, 5, 4, 6), (2, 5, 1, 1), (1, 5, 2, 1)]
ENGINES = ["paper", "torch"]


def draw(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def reference(shape: tuple[int, ...], **options) -> nn.Module:
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    layer = kind(shape[1], **options).double()
    with torch.no_grad():
        layer.weight.copy_(1 + 0.3 * draw((shape[1],), 11))
        layer.bias.copy_(draw((shape[1],), 12))
    return layer


def ours(like: nn.Module, engine: str) -> BatchNorm:
    layer = BatchNorm(like.num_features, eps=like.eps, momentum=like.momentum, engine=engine)
    layer.to(like.weight.dtype).load_state_dict(like.state_dict())
    return layer


def record(layer: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> dict:
    """Everything a layer does over three training batches and one in evaluation."""
    seen = {}
    for step in range(4):
        layer.train(step < 3)
        x = (2 + 3 * draw(shape, step, dtype)).requires_grad_()
        layer.zero_grad()
        y = layer(x)
        y.backward(draw(shape, 100 + step, dtype))
        seen[step] = [y.detach(), x.grad, layer.weight.grad.clone(), layer.bias.grad.clone()]
        seen[step] += [buffer.clone() for buffer in layer.buffers()]
    return seen


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", SHAPES)
def test_float64_agrees_with_torch(shape, engine, momentum):
    layer = reference(shape, eps=1e-3, momentum=momentum)
    mine = ours(layer, engine)
    assert_close(record(mine, shape, torch.float64), record(layer, shape, torch.float64), **EXACT)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", SHAPES)
def test_float32_agrees_with_torch(shape, engine):
    layer = reference(shape).float()
    mine = ours(layer, engine)
    assert_close(record(mine, shape, torch.float32), record(layer, shape, torch.float32), **SINGLE)


@pytest.mark.parametrize("engine", ENGINES)
def test_per_activation_agrees_with_batchnorm1d_on_flat_input(engine):
    features = (3, 2, 4)
    flat = reference((6, 24), momentum=0.3)
    mine = BatchNorm(features, momentum=0.3, engine=engine).double()
    mine.load_state_dict(
        {k: v.view(features) if v.ndim else v for k, v in flat.state_dict().items()}
    )
    assert mine.gamma.shape == mine.running_var.shape == features
    for training in (True, True, False):
        mine.train(training), flat.train(training)
        x = draw((6, *features), 5).requires_grad_()
        z = x.detach().flatten(1).requires_grad_()
        dy = draw((6, *features), 6)
        mine(x).backward(dy)
        flat(z).backward(dy.flatten(1))
        assert_close(mine(x).flatten(1), flat(z), **EXACT)
        assert_close(x.grad.flatten(1), z.grad, **EXACT)
    for name in ("running_mean", "running_var"):
        assert_close(getattr(mine, name).flatten(), getattr(flat, name), **EXACT)
    assert_close(mine.weight.grad.flatten(), flat.weight.grad, **EXACT)
    assert_close(mine.bias.grad.flatten(), flat.bias.grad, **EXACT)


def test_convolutional_and_per_activation_forms_differ():
    x = draw((6, 3, 4, 4))
    joint, single = BatchNorm(3).double()(x), BatchNorm((3, 4, 4)).double()(x)
    assert_close(joint.mean((0, 2, 3)), torch.zeros(3).double(), **EXACT)
    assert_close(single.mean(0), torch.zeros(3, 4, 4).double(), **EXACT)
    assert joint.mean(0).abs().max() > 0.1


@pytest.mark.parametrize("engine", ENGINES)
def test_running_statistics_by_hand(engine):
    """m' = m·p·q = 2·1·2 values a channel; the variance enters with m'/(m' − 1)."""
    layer = BatchNorm(1, momentum=0.25, engine=engine).double()
    layer(torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64).view(2, 1, 1, 2))
    assert layer.running_mean.item() == pytest.approx(0.25 * 3)
    assert layer.running_var.item() == pytest.approx(0.75 + 0.25 * (4 + 1 + 0 + 9) / 3)
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_batch_mates_matter_in_training_only(engine):
    layer = BatchNorm(4, engine=engine).double()
    x = draw((5, 4))
    other = torch.cat([x[:1], draw((4, 4), 9)])
    assert (layer(x)[0] - layer(other)[0]).abs().max() > 0.01
    layer.eval()
    assert torch.equal(layer(x)[0], layer(other)[0])
    before = copy.deepcopy(layer.state_dict())
    layer(x)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_eps_zero_normalises_exactly():
    layer = BatchNorm(4, eps=0).double()
    assert_close(layer(draw((9, 4))).var(0, correction=0), torch.ones(4).double(), **EXACT)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("engine", ENGINES)
def test_16_bit_input_uses_float32_statistics_and_keeps_its_type(engine, dtype):
    """A mean of 1000 summed in 16 bits would be off by several units, or overflow in float16."""
    layer = BatchNorm(3, engine=engine)
    x = (1000 + 50 * draw((256, 3), dtype=torch.float32)).to(dtype).requires_grad_()
    expected = x.detach().double()
    for training in (True, False):
        layer.train(training)
        mean, var = (
            (expected.mean(0), expected.var(0, correction=0))
            if training
            else (layer.running_mean.double(), layer.running_var.double())
        )
        y = layer(x)
        assert y.dtype == dtype
        exact = (expected - mean) / torch.sqrt(var + layer.eps)
        assert_close(y.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-3)
    assert layer.running_mean.dtype == torch.float32
    assert_close(layer.running_mean.double(), 0.1 * expected.mean(0), rtol=1e-6, atol=0)
    y.sum().backward()
    assert x.grad.dtype == dtype


def test_float64_input_with_float32_parameters_is_normalised_in_float64():
    x = draw((8, 3))
    assert_close(BatchNorm(3)(x), BatchNorm(3).double()(x), **EXACT)


def test_checkpoints_interchange_with_torch_both_ways():
    for make in (nn.BatchNorm1d, nn.BatchNorm2d):
        theirs, mine = make(5), BatchNorm(5)
        shape = (8, 5) if make is nn.BatchNorm1d else (8, 5, 2, 2)
        theirs(draw(shape, dtype=torch.float32))
        nn.init.normal_(theirs.weight)
        assert list(theirs.state_dict()) == list(mine.state_dict())
        mine.load_state_dict(theirs.state_dict())
        back = make(5)
        back.load_state_dict(mine.state_dict())
        x = draw(shape, 1, torch.float32)
        assert torch.equal(back.eval()(x), theirs.eval()(x))
        assert_close(mine.eval()(x), theirs(x), **SINGLE)
        assert mine.num_batches_tracked == 1
    assert mine.gamma is mine.weight
    assert mine.beta is mine.bias


def test_torch_tools_accept_the_layer():
    """`update_bn` finds and averages it; `fuse_conv_bn_eval` folds it."""
    conv = nn.Conv2d(2, 3, 3).double()
    mine = nn.Sequential(copy.deepcopy(conv), BatchNorm(3).double())
    theirs = nn.Sequential(copy.deepcopy(conv), nn.BatchNorm2d(3).double())
    loader = [draw((4, 2, 5, 5), seed) for seed in range(3)]
    for model in (mine, theirs):
        update_bn(loader, model)
    assert_close(dict(mine[1].state_dict()), dict(theirs[1].state_dict()), **EXACT)
    mine.eval()
    fused = fuse_conv_bn_eval(mine[0], mine[1])
    assert_close(fused(loader[0]), mine(loader[0]), **EXACT)


def test_sync_without_a_process_group_is_local():
    x = draw((6, 4))
    synchronised, local = BatchNorm(4, sync=True).double(), BatchNorm(4).double()
    assert torch.equal(synchronised(x), local(x))
    assert torch.equal(synchronised.running_var, local.running_var)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.int64(3), 3),
        (np.array(3), 3),
        (torch.tensor(3), 3),
        ((np.int32(3), torch.tensor(2)), (3, 2)),
        (torch.Size([3, 2]), (3, 2)),
    ],
)
def test_sizes_of_other_integer_types_are_taken_as_pythons(given, kept):
    layer = BatchNorm(given)
    assert layer.num_features == kept
    assert type(layer.num_features) is type(kept)
    shape = kept if isinstance(kept, tuple) else (kept,)
    assert layer(torch.zeros(4, *shape)).shape == (4, *shape)
    assert layer.running_var.shape == shape


def test_a_symbolic_size_stays_symbolic():
    def run(x):
        return BatchNorm(x.shape[1])(x)

    traced = make_fx(run, tracing_mode="symbolic")(draw((6, 4)))
    assert_close(traced(draw((7, 5))), run(draw((7, 5))), **EXACT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_features": 0}, "num_features must be a positive integer"),
        ({"num_features": ()}, "num_features must be a positive integer"),
        ({"num_features": (3, -1)}, "num_features must be a positive integer"),
        ({"num_features": 2.0}, "num_features must be a positive integer"),
        ({"num_features": True}, "num_features must be a positive integer"),
        ({"num_features": np.bool_(True)}, "num_features must be a positive integer"),
        ({"num_features": torch.tensor(True)}, "num_features must be a positive integer"),
        ({"num_features": (3, False)}, "num_features must be a positive integer"),
        ({"num_features": np.float64(2)}, "num_features must be a positive integer"),
        ({"num_features": torch.tensor([3, 4])}, "num_features must be a positive integer"),
        ({"num_features": "4"}, "num_features must be a positive integer"),
        ({"eps": -1e-5}, "eps must be a finite number >= 0"),
        ({"eps": float("nan")}, "eps must be a finite number >= 0"),
        ({"momentum": 1.1}, r"momentum is the weight of the new batch, in \[0, 1\]"),
        ({"momentum": -0.1}, r"momentum is the weight of the new batch, in \[0, 1\]"),
        ({"engine": "jax"}, "unknown engine 'jax'; one of paper, torch"),
        ({"eps": 0, "engine": "torch"}, "eps=0 needs engine='paper'"),
        ({"sync": True, "engine": "torch"}, "sync=True needs engine='paper'"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        BatchNorm(**{"num_features": 4, **arguments})
    assert isinstance(caught.value, UserError)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("features", "shape"),
    [(4, (8, 3)), (4, (4,)), (4, (2, 4, 1, 1, 1)), ((3, 2), (8, 6)), ((3, 2), (8, 3, 2, 1))],
)
def test_wrong_shapes_are_refused_in_both_modes(features, shape, engine):
    layer = BatchNorm(features, engine=engine)
    for training in (True, False):
        with pytest.raises(ValueError, match=r"expected input of shape .*, got \("):
            layer.train(training)(torch.zeros(shape))


def test_integer_input_is_refused():
    with pytest.raises(ValueError, match=r"expected floating-point input, got torch\.int64"):
        BatchNorm(4)(torch.zeros(8, 4, dtype=torch.int64))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("features", "shape", "count"),
    [(4, (1, 4), 1), (4, (0, 4), 0), (4, (1, 4, 1, 1), 1), ((4, 3), (1, 4, 3), 1)],
)
def test_training_on_a_single_value_is_refused_and_changes_nothing(features, shape, count, engine):
    layer = BatchNorm(features, engine=engine)
    with pytest.raises(ValueError, match=f"more than one value per feature, got {count}"):
        layer(torch.zeros(shape))
    assert layer.num_batches_tracked == 0
    assert layer.eval()(torch.zeros(shape)).shape == shape
