"""Two gloo processes with synchronised statistics against one process with the whole batch."""

import pytest
import torch
import torch.multiprocessing as mp
from torch.testing import assert_close

from bnrepro.norm import BatchNorm
from tests.norm.sync_worker import (
    PARTS,
    WORLD,
    derivatives,
    draw,
    far_from_zero,
    layer,
    network,
    pass_through,
    train,
    work,
)

torch.set_num_threads(1)

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("sync")
    mp.start_processes(work, args=(str(folder),), nprocs=WORLD, start_method="fork")
    return [torch.load(folder / f"rank-{r}.pt", weights_only=True) for r in range(WORLD)]


@pytest.mark.parametrize("features", [4, (4, 3, 2)])
@pytest.mark.parametrize("name", PARTS)
def test_equals_one_process_on_the_concatenated_batch(ranks, name, features):
    shape = (sum(PARTS[name]), 4, 3, 2)
    whole = pass_through(layer(False, features), draw(shape, 1), draw(shape, 2))
    parts = [rank[name, features] for rank in ranks]
    for key in ("y", "dx"):
        assert_close(torch.cat([part[key] for part in parts]), whole[key], **EXACT)
    for key in ("dgamma", "dbeta"):  # each process returns its share
        assert_close(sum(part[key] for part in parts), whole[key], **EXACT)
    for key in ("running_mean", "running_var", "num_batches_tracked"):
        for part in parts:
            assert_close(part[key], whole[key], **EXACT)


def test_training_with_averaged_gradients_equals_one_process(ranks):
    model = network(sync=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, [draw((8, 3), seed) for seed in range(3)])
    for rank in ranks:
        assert_close(rank["trained"], dict(model.state_dict()), **EXACT)
    assert (model.state_dict()["0.weight"] - before["0.weight"]).abs().max() > 1e-3


def test_local_statistics_would_give_another_result():
    """The comparison above can fail: halves normalised on their own differ from the whole."""
    x = draw((8, 4), 1)
    halves = [BatchNorm(4).double()(half) for half in x.chunk(WORLD)]
    assert (torch.cat(halves) - BatchNorm(4).double()(x)).abs().max() > 0.01


def test_evaluation_does_not_communicate(ranks):
    assert_close(ranks[0]["eval"], layer(False, 4).eval()(draw((2, 4), 3)), **EXACT)


def test_one_value_over_all_processes_is_refused_by_all(ranks):
    assert all("more than one value per feature, got 1" in rank["single value"] for rank in ranks)


def test_float32_survives_a_large_mean(ranks):
    whole = BatchNorm(3, momentum=1).double()
    y = whole(far_from_zero().double())
    got = torch.cat([rank["far from zero"][0] for rank in ranks])
    assert_close(got.double(), y, rtol=0, atol=1e-5)
    for rank in ranks:
        assert_close(rank["far from zero"][1].double(), whole.running_var, rtol=2e-6, atol=0)


def test_further_derivatives_and_transforms_equal_those_of_one_process(ranks):
    whole = derivatives(layer(False, 4), draw((7, 4, 2), 1), draw((7, 4, 2), 2))
    parts = [rank["derivatives"] for rank in ranks]
    for name in ("second", "forward", "mapped"):
        assert_close(torch.cat([part[name] for part in parts]), whole[name], **EXACT)
    assert_close(sum(part["second of γ"] for part in parts), whole["second of γ"], **EXACT)
