"""A pair is folded only where it is provably alone; every other model computes what it did."""

import copy
import types
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm

from bnrepro.norm import BatchNorm, fold
from tests.norm.test_folding import (
    DOUBLE,
    IMAGE,
    VECTOR,
    count_norms,
    relative_error,
    shaken,
)

torch.set_num_threads(1)


class Pair(nn.Module):
    """A linear layer and its normalisation, used as `forward` of a subclass says."""

    def __init__(self, prepare: Callable[["Pair"], object] | None = None) -> None:
        super().__init__()
        self.fc, self.bn = nn.Linear(6, 4), BatchNorm(4)
        if prepare is not None:
            prepare(self)

    def forward(self, x):
        return self.bn(self.fc(x))


def pair(forward=Pair.forward, prepare=None) -> nn.Module:
    return type("Made", (Pair,), {"forward": forward})(prepare)


def clamped(when: str) -> Callable:
    def forward(self, x):
        y = self.bn(self.fc(x)) if when == "after" else x
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.clamp_(-0.2, 0.2)
        return y if when == "after" else self.bn(self.fc(x))

    return forward


def with_setting(name: str, value: object) -> Callable:
    def forward(self, x):
        setattr(self.bn, name, value)
        return self.bn(self.fc(x))

    return forward


def stored(self, x):
    self.z = self.fc(x)
    return self.bn(self.z) + self.z


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), BatchNorm(6), nn.ReLU(), nn.Linear(6, 6), BatchNorm(6))
    model[3].weight, model[4].bias = model[0].weight, model[1].bias
    return model


def aliased_block() -> nn.Module:
    block = nn.Sequential(nn.Linear(6, 6), BatchNorm(6))
    return nn.Sequential(block, nn.ReLU(), block)


IN_FORWARD = {
    "the weight is used again": lambda s, x: s.bn(s.fc(x)) @ s.fc.weight,
    "the bias is used again": lambda s, x: s.bn(s.fc(x)) + s.fc.bias,
    "γ is used again": lambda s, x: s.bn(s.fc(x)) * s.bn.weight,
    "the mean is used again": lambda s, x: s.bn(s.fc(x)) + s.bn.running_mean,
    "a function of the variance": lambda s, x: s.bn(s.fc(x)) * s.bn.running_var.sqrt(),
    "ε is used again": lambda s, x: s.bn(s.fc(x)) * s.bn.eps,
    "normalised by function": lambda s, x: F.batch_norm(
        s.bn(s.fc(x)), s.bn.running_mean, s.bn.running_var, s.bn.weight, s.bn.bias
    ),
    "all parameters are summed": lambda s, x: s.bn(s.fc(x)) + sum(p.sum() for p in s.parameters()),
    "parameters make a number": lambda s, x: (
        s.bn(s.fc(x)) * float(sum(p.detach().sum() for p in s.parameters()))
    ),
    "the state is counted": lambda s, x: s.bn(s.fc(x)) * len(s.state_dict()),
    "the class is asked": lambda s, x: s.bn(s.fc(x)) * (2 if isinstance(s.bn, BatchNorm) else 1),
    "an attribute is asked": lambda s, x: s.bn(s.fc(x)) * (2 if hasattr(s.bn, "gamma") else 1),
    "the product by function": lambda s, x: s.bn(F.linear(x, s.fc.weight, s.fc.bias)),
    "other weights for the call": lambda s, x: s.bn(
        functional_call(s.fc, {"weight": torch.ones(4, 6, dtype=torch.float64)}, (x,))
    ),
    "written to before": clamped("before"),
    "written to after": clamped("after"),
    "ε is set": with_setting("eps", 0.5),
    "the mean is set": with_setting("running_mean", torch.ones(4, dtype=torch.float64)),
    "the output is stored and used": stored,
    "the output is changed in place": lambda s, x: s.bn(s.fc(x).mul_(2)),
    "called twice": lambda s, x: s.bn(s.fc(x)) + s.bn(s.fc(-x)),
}
BY_PREPARATION = {
    "a second name": lambda s: setattr(s, "block", nn.Sequential(s.fc, s.bn)),
    "a second name of the layer": lambda s: setattr(s, "other", s.fc),
    "a second name of the normalisation": lambda s: setattr(s, "other", s.bn),
    "a shared parameter": lambda s: s.register_parameter("shared", s.fc.weight),
    "a parametrised weight": lambda s: parametrizations.weight_norm(s.fc),
    "a parametrised γ": lambda s: parametrize.register_parametrization(
        s.bn, "weight", nn.Softplus()
    ),
    "spectral norm": lambda s: spectral_norm(s.fc),
    "a forward hook on the model": lambda s: s.register_forward_hook(
        lambda module, inputs, output: output + module.bn.bias
    ),
    "a forward set on the model": lambda s: setattr(
        s, "forward", types.MethodType(lambda s, x: s.bn(s.fc(x)) + s.fc(x), s)
    ),
    "lists refer to the layers": lambda s: (
        setattr(s, "layers", [s.fc, s.bn]),
        setattr(s, "forward", types.MethodType(lambda s, x: s.layers[1](s.fc(x)), s)),
    ),
}
HOOKS = {
    "forward": lambda m: m.register_forward_hook(lambda module, inputs, output: output * 2),
    "forward with keywords": lambda m: m.register_forward_hook(
        lambda module, inputs, options, output: output * 2, with_kwargs=True, always_call=True
    ),
    "before forward": lambda m: m.register_forward_pre_hook(lambda module, inputs: inputs[0] * 2),
    "backward": lambda m: m.register_full_backward_hook(lambda module, before, after: None),
    "before backward": lambda m: m.register_full_backward_pre_hook(lambda module, after: None),
    "state": lambda m: m.register_state_dict_post_hook(lambda *args: None),
}


class Rectified(BatchNorm):
    def forward(self, x):
        return torch.relu(super().forward(x))


class RectifiedInside(BatchNorm):
    def _infer(self, x):
        return torch.relu(super()._infer(x))


class Rectified1d(nn.BatchNorm1d):
    def forward(self, x):
        return torch.relu(super().forward(x))


class DoubledConv(nn.Conv2d):
    def _conv_forward(self, *arguments):
        return 2 * super()._conv_forward(*arguments)


class AlwaysTraining(Pair):
    def train(self, mode=True):
        super().train(mode)
        self.bn.training = True
        return self


def patched(model: nn.Sequential, which: int, method: str) -> nn.Module:
    def tripled(self, *arguments):
        return 3 * getattr(type(self), method)(self, *arguments)

    setattr(model[which], method, types.MethodType(tripled, model[which]))
    return model


def linear(norm: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 4), norm or BatchNorm(4))


def conv() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), BatchNorm(4))


MODELS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    **{name: (VECTOR, lambda f=f: pair(f)) for name, f in IN_FORWARD.items()},
    **{name: (VECTOR, lambda p=p: pair(prepare=p)) for name, p in BY_PREPARATION.items()},
    **{
        f"{name} hook of {layer}": (
            VECTOR,
            lambda h=hook, layer=layer: pair(prepare=lambda s: h(getattr(s, layer))),
        )
        for name, hook in HOOKS.items()
        for layer in ("fc", "bn")
    },
    "tied layers": (VECTOR, tied),
    "a block of two names": (VECTOR, aliased_block),
    "a subclass of the normalisation": (VECTOR, lambda: linear(Rectified(4))),
    "a subclass with another method": (VECTOR, lambda: linear(RectifiedInside(4))),
    "a subclass of torch's": (VECTOR, lambda: linear(Rectified1d(4))),
    "a subclass of the convolution": (
        IMAGE,
        lambda: nn.Sequential(DoubledConv(3, 4, 3), BatchNorm(4)),
    ),
    "forward of the layer replaced": (VECTOR, lambda: patched(linear(), 0, "forward")),
    "forward of the norm replaced": (VECTOR, lambda: patched(linear(), 1, "forward")),
    "another method replaced": (IMAGE, lambda: patched(conv(), 0, "_conv_forward")),
    "always in training mode": (VECTOR, AlwaysTraining),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_pair_that_is_not_alone_stays(name):
    shape, build = MODELS[name]
    torch.manual_seed(0)
    model = shaken(build()).eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold(model)
    assert count_norms(folded) == count_norms(model)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = copy.deepcopy(model)(x)
    assert torch.equal(folded(x), expected)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.fixture
def global_hook():
    handle = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None)
    yield
    handle.remove()


def test_nothing_is_folded_under_a_hook_on_every_module(global_hook):
    assert count_norms(fold(linear())) == 1


ALONE = {
    "compared with None": pair(lambda s, x: s.fc(x) if s.bn is None else s.bn(s.fc(x))),
    "called by keyword": pair(lambda s, x: s.bn(input=s.fc(input=x))),
    "the model has a hook": pair(
        prepare=lambda s: s.register_forward_pre_hook(lambda module, inputs: inputs[0] + 1)
    ),
    "noise beside it": pair(lambda s, x: s.bn(s.fc(x)) + 0 * torch.randn(4)),
    "without tracking": pair(prepare=lambda s: setattr(s.bn, "track_running_stats", False)),
    "in an averaged model": torch.optim.swa_utils.AveragedModel(Pair()),
    "in a data-parallel model": nn.DataParallel(Pair()),
    "a traced model": torch.fx.symbolic_trace(linear(nn.BatchNorm1d(4))),
    "weights made permanent": pair(
        prepare=lambda s: (
            prune.l1_unstructured(s.fc, "weight", 0.5),
            prune.remove(s.fc, "weight"),
        )
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_pair_that_is_alone_is_folded(name):
    model = shaken(ALONE[name])
    folded = fold(model)
    assert count_norms(folded) == 0
    assert relative_error(model, folded, VECTOR, torch.float64) <= DOUBLE


@pytest.mark.parametrize("reader", range(5))
def test_one_pair_with_a_hidden_reader_does_not_keep_the_others_from_folding(reader):
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pairs = nn.ModuleList(
                nn.Sequential(nn.Linear(6, 6), BatchNorm(6)) for _ in range(5)
            )

        def forward(self, x):
            for layers in self.pairs:
                x = layers(x).relu()
            return x * self.pairs[reader][1].eps

    model = shaken(Deep())
    folded = fold(model)
    assert count_norms(folded) == 1
    assert isinstance(folded.pairs[reader][1], BatchNorm)
    assert relative_error(model, folded, VECTOR, torch.float64) <= DOUBLE
