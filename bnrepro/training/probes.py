"""What Figure 1(b, c) looks at, the distribution of each nonlinearity's inputs; and what sweeps do.

A probe reads what a forward pass returned or went through; none changes a network or draws a
number.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bnrepro.models.mlp import HiddenLayer, SlotMLP
from bnrepro.run.mirror import HISTOGRAM_EDGES
from bnrepro.training.slots import SlotTrainer

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


def divided_logits(net: SlotMLP, x: Tensor, orders: Iterable[Tensor]) -> Iterator[Tensor]:
    """Logits (S, N, classes) of x (N, inputs), in its order, in training form once an order.

    An order (N,) divides x into the mini-batches of the network's transform, one after the other.
    """
    for order in orders:
        yield net.forward(x[order])[0][:, order.argsort()]


def constant_units(trainer: SlotTrainer, layers: Sequence[HiddenLayer]) -> dict[str, Tensor]:
    """Units whose slope is lost on every probe image, as shares of a layer (S,).

    `saturated`: |a| > 4 on every image, for a sigmoid; `dead`: a ≤ 0 on every image, for ReLU.
    `…_worst` is the hidden layer with the largest share, `…_mean` the mean over hidden layers.
    """
    name = "saturated" if trainer.net.sigmoid else "dead"
    lost = [layer.a.abs() > SATURATION if trainer.net.sigmoid else layer.a <= 0 for layer in layers]
    shares = torch.stack([each.all(1).float().mean(1) for each in lost])
    return {f"{name}_worst": shares.amax(0), f"{name}_mean": shares.mean(0)}


def effective_step(trainer: SlotTrainer, layers: Sequence[HiddenLayer]) -> dict[str, Tensor]:
    """η/‖w‖², with ‖w‖² the mean over a hidden layer's units; geometric mean over layers (S,).

    With BN before the nonlinearity the direction w/‖w‖ moves by this multiple of its gradient.
    """
    weights = [trainer.net.params[f"{name}.weight"] for name in trainer.net.hidden]
    norms = torch.stack([w.square().sum(1).mean(1) for w in weights])
    rates = norms.new_tensor([slot.lr for slot in trainer.slots])
    return {"effective_step": rates / norms.log().mean(0).exp()}
