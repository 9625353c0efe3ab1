"""Percentiles, saturation and histograms against numpy; logits of divided images."""

import numpy as np
import torch

from bnrepro.config.schema import ModelConfig
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.models.transforms import BatchTransform
from bnrepro.training.probes import (
    HISTOGRAM_EDGES,
    divided_logits,
    histogram,
    percentiles,
    saturated_share,
)


def test_percentiles_are_nearest_ranks():
    a = torch.arange(100.0).flip(0).view(1, 100, 1).repeat(2, 1, 3)
    a[1] *= -1
    assert percentiles(a)[0, :, 0].tolist() == [14, 49, 84]
    assert percentiles(a)[1, :, 2].tolist() == [-85, -50, -15]


def test_percentiles_agree_with_numpy():
    a = torch.randn(2, 137, 4, generator=torch.Generator().manual_seed(0))
    expected = np.percentile(a.numpy(), [15, 50, 85], axis=1, method="inverted_cdf")
    np.testing.assert_array_equal(percentiles(a).numpy(), expected.transpose(1, 0, 2))


def test_saturation_counts_both_signs():
    a = torch.tensor([[[5.0, 0.0], [-4.5, 4.0]]])
    assert saturated_share(a).tolist() == [0.5]


def test_histogram_keeps_every_value():
    a = torch.tensor([[[-100.0, -8.0, 0.1, 7.9, 100.0]]])
    counts = histogram(a)[0]
    assert sum(counts) == 5
    assert (counts[0], counts[-1]) == (2, 2)
    assert len(counts) == len(HISTOGRAM_EDGES) - 1
    assert counts[HISTOGRAM_EDGES.index(0.0)] == 1


def test_divided_logits_are_those_of_each_mini_batch_in_the_order_of_the_images():
    net = SlotMLP(
        ModelConfig([7], "relu", "none", "normal", 0.5, 1e-5, 0.1), [Slot(0, 0.1, 0.5)], 6, 3,
        transform=BatchTransform(1e-5, group=4),
    )  # fmt: skip
    x = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([3, 0, 5, 7, 1, 2, 4, 6, 11, 10, 9, 8])
    (logits,) = divided_logits(net, x, [order])
    for batch in order.split(4):
        alone = net.forward(x[batch])[0]
        torch.testing.assert_close(logits[:, batch], alone)
    assert not torch.allclose(logits, next(divided_logits(net, x, [torch.arange(12)])))
