"""Rows of the MNIST networks: what they hold, and that measuring leaves no trace."""

import numpy as np
import pytest
import torch

from bnrepro.config import compose
from bnrepro.data import synthetic
from bnrepro.models.mlp import Slot
from bnrepro.norm import normalize
from bnrepro.training.slot_rows import measure
from bnrepro.training.slots import SlotTrainer


def trainer(norm: str) -> SlotTrainer:
    cfg = compose("mnist", ["optim.batch=20", f"model.norm={norm}", "model.hidden=[16,12]"])
    slots = [Slot(0, 0.5, 0.2), Slot(1, 0.5, 0.2)]
    return SlotTrainer(cfg.model, cfg.optim, slots, synthetic(200, 80), torch.device("cpu"))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_measuring_touches_neither_networks_nor_random_state(norm):
    plain, watched = trainer(norm), trainer(norm)
    expected = torch.stack(list(plain.run(range(1, 9))))
    random = torch.get_rng_state()
    seen = []
    for losses in watched.run(range(1, 9)):
        measure(watched, losses, watched.x[:50])
        seen.append(losses)
    assert torch.equal(expected, torch.stack(seen))
    assert torch.equal(random, torch.get_rng_state())
    for kind in ("params", "moving"):
        for key, value in getattr(plain.net, kind).items():
            assert torch.equal(value, getattr(watched.net, kind)[key])


def test_percentiles_are_those_of_the_sigmoids_input_in_both_modes():
    t = trainer("batch")
    (losses,) = t.run([5])
    x, p, moving = t.x[:50], t.net.params, t.net.moving
    row = measure(t, losses, x)[1]
    wu = x @ p["hidden1.weight"][1]
    gamma, beta = p["hidden1.gamma"][1], p["hidden1.beta"][1]
    mean, var = moving["hidden1.mean"][1], moving["hidden1.var"][1]
    inputs = {
        "training": gamma * normalize(wu, (0,), 1e-5).x_hat + beta,
        "inference": gamma * (wu - mean) / (var + 1e-5).sqrt() + beta,
    }
    for mode, a in inputs.items():
        expected = np.percentile(a.numpy(), [15, 50, 85], axis=0, method="inverted_cdf")
        np.testing.assert_allclose(row["percentiles"][mode]["hidden1"], expected, atol=2e-4)
    share = (inputs["inference"].abs() > 4).float().mean()
    assert row["saturated"]["hidden1"] == pytest.approx(float(share), abs=2e-3)


def test_without_bn_both_modes_are_the_same():
    t = trainer("none")
    (losses,) = t.run([3])
    percentiles = measure(t, losses, t.x[:50])[0]["percentiles"]
    assert percentiles["training"] == percentiles["inference"]
