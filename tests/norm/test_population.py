"""Algorithm 2's statistics against a computation by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm
from torch.testing import assert_close
from torchvision.ops import StochasticDepth

from bnrepro.errors import UserError
from bnrepro.norm import BatchNorm, population_statistics

torch.set_num_threads(1)

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def network(first: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Linear(3, 4), first or BatchNorm(4), nn.Sigmoid(), nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.Linear(4, 2), BatchNorm(2, momentum=None)).double()


def mini_batches(count: int = 5, m: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(m, 3, generator=generator, dtype=torch.float64) for _ in range(count)]


def by_hand(values: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """E_B[μ_B] and m/(m−1)·E_B[σ²_B], written out."""
    m = len(values[0])
    means = torch.stack([v.sum(0) / m for v in values])
    biased = torch.stack([((v - v.sum(0) / m) ** 2).sum(0) / m for v in values])
    return means.mean(0), m / (m - 1) * biased.mean(0)


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("first", [None, nn.BatchNorm1d(4), BatchNorm((4,), engine="torch")])
def test_statistics_equal_the_computation_by_hand(first, labelled):
    model, batches = network(first), mini_batches()
    model[1].running_mean.fill_(7)  # what was there before must not matter
    given = [(b, torch.zeros(len(b))) for b in batches] if labelled else batches
    population_statistics(model, iter(given))
    inner = [model[0](b) for b in batches]
    hidden = []
    for z in inner:
        var, mean = torch.var_mean(z, 0, correction=0)
        hidden.append(torch.sigmoid((z - mean) / torch.sqrt(var + 1e-5)))
    outer = [model[4](h) for h in hidden]  # without dropout
    for norm, values in ((model[1], inner), (model[5], outer)):
        mean, var = by_hand(values)
        assert_close(norm.running_mean, mean.detach(), **EXACT)
        assert_close(norm.running_var, var.detach(), **EXACT)


def test_modes_momenta_parameters_and_random_state_are_as_before():
    model = network()
    model.train()
    model[1].eval()
    parameters = [p.clone() for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    state = torch.get_rng_state()
    population_statistics(model, mini_batches())
    assert [m.training for m in model.modules()] == modes
    assert [model[1].momentum, model[5].momentum] == [0.1, None]
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), parameters, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


BAD_BATCHES = {
    "wrong features": (torch.zeros(6, 9).double(), "mat1 and mat2"),
    "one example": (torch.zeros(1, 3).double(), "more than one value per feature"),
    "a dictionary": ({"x": torch.zeros(6, 3)}, "batch 6 is of type dict; pass tensors, or tuples"),
    "an array": (np.zeros((6, 3)), "batch 6 is of type ndarray; pass tensors, or tuples"),
    "a tuple of arrays": ((np.zeros((6, 3)), 1), "batch 6 is of type tuple; pass tensors, or"),
    "an empty tuple": ((), "batch 6 is of type tuple; pass tensors, or tuples"),
    "a name": ("x", "batch 6 is of type str; pass tensors, or tuples"),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_a_failing_batch_leaves_everything_as_it_was(name):
    bad, message = BAD_BATCHES[name]
    model = network().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises((RuntimeError, ValueError, UserError), match=message):
        population_statistics(model, [*mini_batches(), bad])
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m.training for m in model.modules())
    assert model[1].momentum == 0.1


def test_no_batches_is_an_error_and_keeps_the_statistics():
    model = network()
    model[1].running_mean.fill_(7)
    with pytest.raises(UserError, match="no batches given"):
        population_statistics(model, [])
    assert (model[1].running_mean == 7).all()


@pytest.mark.parametrize(
    "model",
    [nn.Linear(3, 2), nn.BatchNorm1d(3, track_running_stats=False), nn.InstanceNorm1d(3)],
    ids=["none", "untracked", "of instances"],
)
def test_a_model_without_running_statistics_is_an_error(model):
    with pytest.raises(UserError, match="has no batch normalisation layer"):
        population_statistics(model, [torch.zeros(4, 3)])


def test_one_tensor_is_not_taken_for_its_rows():
    with pytest.raises(UserError, match="batches is one tensor; pass a list of mini-batches"):
        population_statistics(network(), mini_batches()[0])


class Functional(nn.Module):
    """What asks for the mode in its forward, and changes a buffer in every mode."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls = self.calls + 1
        return F.dropout(F.dropout1d(x[..., None], 0.5, self.training)[..., 0], 0.5, self.training)


NOISY = {
    "functional dropout": Functional,
    "dropout": lambda: nn.Dropout(0.5),
    "alpha dropout": lambda: nn.AlphaDropout(0.5),
    "stochastic depth": lambda: StochasticDepth(0.5, "row"),
    "random slopes": lambda: nn.RReLU(0.1, 0.9),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NOISY)
def test_noise_of_training_is_off_and_no_random_number_is_drawn(name, training):
    noise = NOISY[name]()
    model = nn.Sequential(nn.Linear(3, 4), noise, BatchNorm(4)).double().train(training)
    state = torch.get_rng_state()
    population_statistics(model, mini_batches())
    assert torch.equal(torch.get_rng_state(), state)
    quiet = [noise.eval()(model[0](batch)).detach() for batch in mini_batches()]
    assert_close(model[2].running_var, by_hand(quiet)[1], **EXACT)
    assert model.training == training


def test_random_numbers_drawn_in_spite_of_evaluation_do_not_move_the_state():
    class Always(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5)

    model = nn.Sequential(Always(), BatchNorm(3)).double()
    state = torch.get_rng_state()
    population_statistics(model, mini_batches())
    assert torch.equal(torch.get_rng_state(), state)


STATEFUL = {
    "spectral norm": lambda: spectral_norm(nn.Linear(3, 3)),
    "spectral norm, parametrised": lambda: parametrizations.spectral_norm(nn.Linear(3, 3)),
    "tracked instance normalisation": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.InstanceNorm1d(1, track_running_stats=True), nn.Flatten()
    ),
    "a counter": Functional,
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", STATEFUL)
def test_buffers_of_other_modules_are_as_before(name, fails):
    model = nn.Sequential(STATEFUL[name](), BatchNorm(3)).double()
    model(mini_batches()[0])
    before = {name: value.clone() for name, value in model[0].state_dict().items()}
    batches = mini_batches()
    if fails:
        with pytest.raises(UserError):
            population_statistics(model, [*batches, None])
    else:
        population_statistics(model, batches)
        assert model[1].num_batches_tracked == len(batches)
    assert_close(dict(model[0].state_dict()), before, rtol=0, atol=0)


class Domains(nn.Module):
    """Domain-specific batch normalisation: one layer a domain, the first chosen by the input."""

    def __init__(self, layer=BatchNorm) -> None:
        super().__init__()
        self.norms = nn.ModuleList(layer(3) for _ in range(3))

    def forward(self, x):
        return self.norms[0 if x.mean() < 0 else 1](x)


@pytest.mark.parametrize("layer", [BatchNorm, nn.BatchNorm1d])
def test_a_layer_that_no_batch_reaches_keeps_its_statistics(layer):
    model = Domains(layer).double()
    for norm in model.norms:
        norm.running_mean.fill_(7)
        norm.running_var.fill_(3)
        norm.num_batches_tracked.fill_(99)
    negative, positive = ([sign * (b.abs() + 1) for b in mini_batches(3)] for sign in (-1, 1))
    population_statistics(model, [*negative, *positive])
    for norm, batches in zip(model.norms, (negative, positive), strict=False):
        mean, var = by_hand(batches)
        assert_close((norm.running_mean, norm.running_var), (mean, var), **EXACT)
        assert norm.num_batches_tracked == 3
    kept = model.norms[2]
    assert kept.running_mean.eq(7).all()
    assert kept.running_var.eq(3).all()
    assert kept.num_batches_tracked == 99


@pytest.mark.parametrize("freeze", ["in evaluation mode", "not tracked"])
def test_frozen_layers_keep_their_statistics_and_normalise_as_in_training(freeze):
    model = network().train()
    model[1].running_mean.fill_(0.3)
    if freeze == "in evaluation mode":
        model[1].eval()
    else:
        model[1].track_running_stats = False
    population_statistics(model, mini_batches())
    assert model[1].running_mean.eq(0.3).all()
    assert model[1].num_batches_tracked == 0
    hidden = []
    for batch in mini_batches():
        z = model[0](batch)  # fixed statistics in both modes: (0.3, 1)
        hidden.append(torch.sigmoid((z - 0.3) / (1 + 1e-5) ** 0.5))
    mean, var = by_hand([model[4](h).detach() for h in hidden])
    assert_close((model[5].running_mean, model[5].running_var), (mean, var), **EXACT)


def test_a_model_in_evaluation_mode_has_all_its_layers_estimated():
    model = network().eval()
    population_statistics(model, mini_batches())
    assert model[1].num_batches_tracked == model[5].num_batches_tracked == 5


def test_a_model_with_all_layers_frozen_is_an_error():
    model = nn.Sequential(BatchNorm(3)).train()
    model[0].eval()
    with pytest.raises(UserError, match="statistics that is not frozen"):
        population_statistics(model, mini_batches())


def test_a_model_that_overrides_its_modes_is_not_asked():
    class Fixed(nn.Sequential):
        def train(self, mode=True):
            raise AssertionError("changing the mode of this model has side effects")

    model = Fixed(nn.Dropout(0.5), BatchNorm(3)).double()
    population_statistics(model, mini_batches())
    assert_close(model[1].running_mean, by_hand(mini_batches())[0], **EXACT)
    assert all(module.training for module in model.modules())
