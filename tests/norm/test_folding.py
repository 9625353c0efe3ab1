"""Folding keeps the function, changes the structure where it may, and leaves the rest alone."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from bnrepro.norm import BatchNorm, fold

torch.set_num_threads(1)

DOUBLE, SINGLE = 1e-12, 2e-6  # largest error over largest output
IMAGE, VECTOR = (5, 3, 8, 8), (5, 6)


def shaken(model: nn.Module) -> nn.Module:
    """The model in float64 with statistics and parameters far from their initial values."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.double().modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for name, low, high in (
                    ("running_mean", -2, 2),
                    ("running_var", 0.3, 3),
                    ("weight", 0.5, 2),
                    ("bias", -2, 2),
                ):
                    if (values := getattr(module, name)) is not None:
                        values.uniform_(low, high, generator=generator)
    return model


def relative_error(model: nn.Module, folded: nn.Module, shape, dtype: torch.dtype) -> float:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(
        dtype
    )
    with torch.no_grad():
        expected = model.eval()(x).double()
        return ((folded(x).double() - expected).abs().max() / expected.abs().max()).item()


def count_norms(model: nn.Module) -> int:
    return sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


FOLDABLE = {
    "linear": (VECTOR, lambda: nn.Sequential(nn.Linear(6, 4), BatchNorm(4), nn.ReLU())),
    "linear without bias": (
        VECTOR,
        lambda: nn.Sequential(nn.Linear(6, 4, bias=False), BatchNorm(4)),
    ),
    "linear, per activation": (VECTOR, lambda: nn.Sequential(nn.Linear(6, 4), BatchNorm((4,)))),
    "linear, torch's": (VECTOR, lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))),
    "linear, not affine": (
        VECTOR,
        lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, affine=False)),
    ),
    "conv": (
        IMAGE,
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), BatchNorm(4), nn.Sigmoid()),
    ),
    "conv without bias": (
        IMAGE,
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), BatchNorm(4)),
    ),
    "grouped conv": (IMAGE, lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), BatchNorm(6))),
    "conv, torch's": (IMAGE, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))),
    "conv, not affine": (
        IMAGE,
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)),
    ),
    "conv, reflected": (
        IMAGE,
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=2, dilation=2, padding_mode="reflect"), BatchNorm(4)
        ),
    ),
    "conv, synchronised": (
        IMAGE,
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4, momentum=None)),
    ),
    "conv of sequences": (
        (5, 3, 8),
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), BatchNorm(4), nn.Conv1d(4, 2, 1), nn.ReLU()),
    ),
    "conv of volumes": (
        (2, 3, 4, 4, 4),
        lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4)),
    ),
    "deep": (
        IMAGE,
        lambda: nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), BatchNorm(4), nn.ReLU()),
            nn.Sequential(nn.Conv2d(4, 5, 3), BatchNorm(5), nn.ReLU()),
            nn.Flatten(),
            nn.Linear(80, 7),
            BatchNorm(7, engine="torch"),
        ),
    ),
}


@pytest.mark.parametrize("name", FOLDABLE)
def test_folded_model_computes_the_same_without_normalisation(name):
    shape, build = FOLDABLE[name]
    torch.manual_seed(0)
    model = shaken(build())
    folded = fold(model)
    assert count_norms(folded) == 0
    assert relative_error(model, folded, shape, torch.float64) <= DOUBLE
    single = model.float()
    assert relative_error(single, fold(single), shape, torch.float32) <= SINGLE


def test_original_is_untouched():
    model = shaken(nn.Sequential(nn.Linear(6, 4), BatchNorm(4))).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold(model)
    with torch.no_grad():
        folded[0].weight.zero_()
    assert model.training
    assert model[1].training
    assert not any(m.training for m in folded.modules())
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class Net(nn.Module):
    """A class of its own whose forward has an option."""

    def __init__(self, rewire: str = "") -> None:
        super().__init__()
        self.rewire = rewire
        self.linear, self.norm, self.other = nn.Linear(6, 6), BatchNorm(6), BatchNorm(6)

    def forward(self, x, record: bool = False, scale: float = 1.0):
        z = self.linear(x)
        y = self.norm(z)
        if self.rewire == "second consumer":
            y = y + z
        if self.rewire == "linear twice":
            y = y + self.other(self.linear(y))
        if self.rewire == "norm twice":
            y = self.norm(y)
        return {"z": z, "y": y} if record else y * scale


def test_class_and_options_of_forward_are_kept():
    model = shaken(Net())
    folded = fold(model)
    assert type(folded) is Net
    assert isinstance(folded.norm, nn.Identity)
    assert relative_error(model, folded, VECTOR, torch.float64) <= DOUBLE
    x = torch.randn(VECTOR, dtype=torch.float64)
    assert torch.allclose(folded(x, record=True)["y"], model(x, record=True)["y"], rtol=1e-12)


@pytest.mark.parametrize("rewire", ["second consumer", "linear twice", "norm twice"])
def test_shared_outputs_and_layers_are_not_folded(rewire):
    model = shaken(Net(rewire))
    folded = fold(model)
    assert isinstance(folded.norm, BatchNorm)
    assert relative_error(model, folded, VECTOR, torch.float64) <= DOUBLE


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked() -> nn.Module:
    layer = nn.Linear(6, 4)
    layer.register_forward_hook(lambda module, args, output: output * 2)
    return layer


STAYING = {
    "after a nonlinearity": (
        VECTOR,
        lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), BatchNorm(4)),
    ),
    "on the input": (VECTOR, lambda: nn.Sequential(BatchNorm(6), nn.Linear(6, 4))),
    "conv, per activation": (
        IMAGE,
        lambda: nn.Sequential(nn.Conv2d(3, 2, 3), BatchNorm((2, 6, 6))),
    ),
    "transposed": (IMAGE, lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3), BatchNorm(4))),
    "no running statistics": (
        VECTOR,
        lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)),
    ),
    "a subclass with its own forward": (VECTOR, lambda: nn.Sequential(Doubled(6, 4), BatchNorm(4))),
    "a hook in between": (VECTOR, lambda: nn.Sequential(hooked(), BatchNorm(4))),
    "a parametrised layer": (
        VECTOR,
        lambda: nn.Sequential(weight_norm(nn.Linear(6, 4)), BatchNorm(4)),
    ),
}


@pytest.mark.parametrize("name", STAYING)
def test_what_cannot_be_folded_stays_and_computes_the_same(name):
    shape, build = STAYING[name]
    torch.manual_seed(0)
    model = shaken(build())
    folded = fold(model)
    assert count_norms(folded) == 1
    assert relative_error(model, folded, shape, torch.float64) <= DOUBLE
