"""Percentiles, saturation and histograms against numpy on small arrays."""

import numpy as np
import torch

from bnrepro.training.probes import HISTOGRAM_EDGES, histogram, percentiles, saturated_share


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
