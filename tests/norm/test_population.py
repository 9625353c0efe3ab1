"""Algorithm 2's statistics against a computation by hand."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

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


@pytest.mark.parametrize("bad", [torch.zeros(6, 9), torch.zeros(1, 3)])
def test_a_failing_batch_leaves_everything_as_it_was(bad):
    model = network().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises((RuntimeError, ValueError)):
        population_statistics(model, [*mini_batches(), bad.double()])
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
    [nn.Linear(3, 2), nn.BatchNorm1d(3, track_running_stats=False)],
    ids=["none", "untracked"],
)
def test_a_model_without_running_statistics_is_an_error(model):
    with pytest.raises(UserError, match="has no batch normalisation layer"):
        population_statistics(model, [torch.zeros(4, 3)])
