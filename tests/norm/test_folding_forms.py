"""Folding under other layouts, types and signatures, and what it refuses with one line."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bnrepro.errors import UserError
from bnrepro.norm import BatchNorm, fold
from tests.norm.test_folding import (
    DOUBLE,
    IMAGE,
    SINGLE,
    VECTOR,
    count_norms,
    relative_error,
    shaken,
)

torch.set_num_threads(1)

LAYOUTS = {
    "sequences": (VECTOR, (5, 4, 6), lambda: nn.Sequential(nn.Linear(6, 4), BatchNorm(4))),
    "sequences, torch's": (
        VECTOR,
        (5, 4, 6),
        lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)),
    ),
    "one sequence": (
        (2, 3, 8),
        (3, 8),
        lambda: nn.Sequential(nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6)),
    ),
    "one image": (IMAGE, IMAGE[1:], lambda: nn.Sequential(nn.Conv2d(3, 6, 3), BatchNorm(6))),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_output_normalised_over_another_dimension_is_never_taken_as_folded(name):
    """With L = C, (N, L, C) is normalised over L, not over the layer's C outputs."""
    usual, other, build = LAYOUTS[name]
    model = shaken(build())
    folded = fold(model)
    for _ in range(2):
        assert relative_error(model, folded, other, torch.float64) <= DOUBLE
    single = copy.deepcopy(folded).float()
    float_model = copy.deepcopy(model).float()
    assert relative_error(float_model, single, other, torch.float32) <= SINGLE
    assert relative_error(model, folded, usual, torch.float64) <= DOUBLE
    with pytest.raises(UserError, match=r"was folded for outputs of \d dimensions, \(N, C, ...\)"):
        folded(torch.zeros(other, dtype=torch.float64))


def test_maps_of_a_linear_layer_are_not_folded():
    """`BatchNorm2d` takes the second of four dimensions, a linear layer the last."""
    model = shaken(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm2d(4)))
    folded = fold(model)
    assert count_norms(folded) == 1
    assert relative_error(model, folded, (2, 4, 3, 6), torch.float64) <= DOUBLE


def test_memory_format_options_and_types_are_kept():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    model = shaken(model).float().to(memory_format=torch.channels_last)
    folded = fold(model.requires_grad_(False))
    assert type(folded[0]) is nn.Conv2d
    assert folded[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not folded[0].weight.requires_grad
    assert folded[0].bias.dtype == torch.float32
    x = torch.zeros(IMAGE).contiguous(memory_format=torch.channels_last)
    assert folded(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("weights", "statistics", "bound"),
    [
        (torch.float64, torch.float32, 1e-12),
        (torch.bfloat16, torch.float32, 2e-2),
        (torch.bfloat16, torch.bfloat16, 2e-2),
    ],
)
def test_layers_of_different_types_fold_to_the_precision_of_the_weights(weights, statistics, bound):
    model = shaken(nn.Sequential(nn.Linear(6, 4), BatchNorm(4)))
    model[0].to(weights), model[1].to(statistics)
    folded = fold(model)
    assert count_norms(folded) == 0
    assert folded[0].weight.dtype == weights
    assert relative_error(model, folded, VECTOR, weights) <= bound


def test_folding_draws_no_random_numbers_and_a_folded_model_can_be_stored():
    class Noisy(nn.Sequential):
        def forward(self, x):
            return super().forward(x) + 0 * torch.randn(4)

    noisy = Noisy(nn.Linear(6, 4), BatchNorm(4))
    state = torch.get_rng_state()
    folded = fold(noisy)
    assert torch.equal(torch.get_rng_state(), state)
    model = shaken(nn.Sequential(nn.Linear(6, 4), BatchNorm(4)))
    stored = pickle.loads(pickle.dumps(fold(model)))
    assert relative_error(model, stored, VECTOR, torch.float64) <= DOUBLE
    assert count_norms(folded) == count_norms(fold(fold(model))) == 0


def test_models_of_two_inputs_and_single_layers():
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.bn = nn.Linear(6, 4), BatchNorm(4)

        def forward(self, x, more, scale=None):
            return self.bn(self.fc(x + more)) * (1 if scale is None else scale)

    model, x = shaken(Sum()).eval(), torch.ones(VECTOR, dtype=torch.float64)
    folded = fold(model)
    assert count_norms(folded) == 0
    assert torch.allclose(folded(x, 2 * x), model(x, 2 * x), rtol=DOUBLE)
    assert relative_error(shaken(BatchNorm(6)), fold(BatchNorm(6).double()), VECTOR, x.dtype) > 0.1
    assert relative_error(shaken(BatchNorm(6)), fold(shaken(BatchNorm(6))), VECTOR, x.dtype) == 0


class Uncopied(nn.Linear):
    def __deepcopy__(self, memory):
        return self


def behind(layer: nn.Module, prepare=lambda model: None) -> nn.Module:
    model = nn.Sequential(nn.Sequential(layer), BatchNorm(4))
    prepare(model)
    return model


FAULTY = {
    "pruned layer": (
        lambda: behind(prune.l1_unstructured(nn.Linear(6, 4), "weight", 0.5)),
        r"cannot be copied .*make pruned weights permanent",
    ),
    "stored activations": (
        lambda: behind(nn.Linear(6, 4), lambda m: setattr(m, "last", m(torch.ones(3, 6)))),
        r"cannot be copied .*delete stored activations",
    ),
    "a module that copies to itself": (lambda: behind(Uncopied(6, 4)), "shares modules with it"),
    "a function that holds the model": (
        lambda: behind(nn.Linear(6, 4), lambda m: setattr(m, "forward", lambda x: m[1](m[0](x)))),
        r"torch\.fx cannot trace Sequential",
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_cannot_be_copied_or_traced_is_one_line_and_unchanged(name):
    build, message = FAULTY[name]
    model = build().train()
    with pytest.raises(UserError, match=message) as caught:
        fold(model)
    assert "\n" not in str(caught.value)
    assert all(module.training for module in model.modules())


def test_a_model_that_branches_on_values_is_an_error():
    class Switch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(6, 4), BatchNorm(4)

        def forward(self, x):
            return self.norm(self.linear(x)) if x.sum() > 0 else x

    with pytest.raises(UserError, match=r"torch\.fx cannot trace Switch .* must not branch"):
        fold(Switch())
