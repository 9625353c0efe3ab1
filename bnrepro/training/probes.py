"""What Figure 1(b, c) looks at: the distribution of each nonlinearity's inputs.

A probe reads what a forward pass returned or went through; none changes a network or draws a
number.
"""

import math

import numpy as np
import torch
from torch import Tensor

from bnrepro.run.mirror import HISTOGRAM_EDGES

PERCENTILES = (15, 50, 85)  # Figure 1(b, c)
SATURATION = 4.0  # beyond |a| = 4 the sigmoid's slope is under 2 % (0.018, against 0.25 at 0)


def percentiles(a: Tensor) -> Tensor:
    """The {15, 50, 85}th percentiles over examples by nearest rank: (S, N, C) to (S, 3, C)."""
    n = a.shape[1]
    ranks = [math.ceil(p / 100 * n) - 1 for p in PERCENTILES]
    if a.device.type == "cpu":  # selection is several times faster than a sort
        columns = np.ascontiguousarray(a.transpose(1, 2).numpy())
        return torch.from_numpy(np.partition(columns, ranks, axis=-1)[..., ranks]).transpose(1, 2)
    return a.sort(dim=1).values[:, ranks]


def saturated_share(a: Tensor) -> Tensor:
    """Share of (example, unit) pairs with |a| > 4, for each slot: (S, N, C) to (S,)."""
    return (a.abs() > SATURATION).float().mean((1, 2))


def histogram(a: Tensor) -> list[list[int]]:
    """Counts of each slot's inputs in the bins of HISTOGRAM_EDGES; values beyond go to the ends."""
    low, high, bins = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1], len(HISTOGRAM_EDGES) - 1
    places = ((a - low) * (bins / (high - low))).clamp_(0, bins - 1).nan_to_num_().long()
    return [torch.bincount(p.flatten(), minlength=bins).tolist() for p in places]
