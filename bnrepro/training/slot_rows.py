"""Rows of measurements, one a slot: what `metrics.jsonl` holds of the small networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bnrepro.config.schema import ModelConfig, OptimConfig, seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.models.mlp import Slot, initial_weight
from bnrepro.models.transforms import Transform
from bnrepro.run.values import finite, number
from bnrepro.training.probes import histogram, percentiles, saturated_share
from bnrepro.training.slots import SlotTrainer

Row = dict[str, Any]


def sweep_trainer(
    cfg: Any, data: Dataset, device: torch.device, transform: Transform, rates: Sequence[float], *,
    activation: str = "sigmoid", hidden: Sequence[int] | None = None, batch: int | None = None,
    seeds: Sequence[int] | None = None,
) -> SlotTrainer:  # fmt: skip
    """Networks of every rate and seed, of Gaussian initial weights, normalised by a transform.

    Widths, mini-batch and seeds are the config's unless they are given.
    """
    model = ModelConfig(list(hidden or cfg.hidden), activation, "none", "normal", cfg.init_std)
    chosen = seed_list(cfg.seeds) if seeds is None else seeds
    slots = [Slot(seed, lr, cfg.init_std) for lr in rates for seed in chosen]
    optim = OptimConfig(lr=0.0, momentum=0.0, batch=batch or cfg.batch)  # a slot has its rate
    return SlotTrainer(model, optim, slots, data, device, transform)


def first_layer(cfg: Any, images: Tensor, seed: int, units: int) -> tuple[Tensor, Tensor]:
    """Binary images u (N, inputs) and the first layer's initial W (inputs, units), float64."""
    u, slot = binarize(images).double(), Slot(seed, 0, cfg.init_std)
    weight = initial_weight(ModelConfig(init="normal"), slot, "hidden1", u.shape[1], units)
    return u, weight.double()


def by_slot(
    trainer: SlotTrainer,
    columns: Mapping[str, Tensor],
    rounded: Callable[[Tensor], float | None] = number,
) -> Iterator[tuple[Slot, Row]]:
    """Every slot with its number of each column (S,); None where it is not finite."""
    for i, slot in enumerate(trainer.slots):
        yield slot, {name: rounded(values[i]) for name, values in columns.items()}


def measure(trainer: SlotTrainer, losses: Tensor, probe_x: Tensor | None) -> list[Row]:
    """A row for every slot at the present step; with `probe_x`, activation inputs on it too."""
    accuracy, test_loss = trainer.accuracy("moving")
    norms = trainer.gradient_norms()
    probes = probe(trainer, probe_x) if probe_x is not None else [{} for _ in trainer.slots]
    examples = trainer.step * trainer.optim.batch
    return [
        {
            "step": trainer.step,
            "examples": examples,
            "epoch": round(examples / len(trainer.x), 4),
            "wall_s": round(trainer.seconds, 3),
            "train_loss": finite(losses[i]),
            "test_accuracy": finite(accuracy[i]),
            "test_loss": finite(test_loss[i]),
            "grad_norm": {name: finite(norm[i]) for name, norm in norms.items()},
            **probes[i],
        }
        for i in range(len(trainer.slots))
    ]


@torch.no_grad()
def probe(trainer: SlotTrainer, x: Tensor) -> list[Row]:
    """Distribution of the sigmoid's inputs on fixed training images, for every hidden layer.

    `training` normalises with the probe images as one mini-batch, `inference` with the moving
    averages; without BN the two are the same thing.
    """
    net = trainer.net
    rows: list[Row] = [{"percentiles": {}} for _ in trainer.slots]
    inference = [layer.a for layer in net.forward(x, "moving")[1]]
    training = (
        [layer.a for layer in net.forward(x, "batch")[1]] if net.transform.normalises else inference
    )
    for mode, inputs in (("training", training), ("inference", inference)):
        values = [percentiles(a).cpu().double().numpy().round(4) for a in inputs]
        for i, row in enumerate(rows):
            row["percentiles"][mode] = {
                name: v[i].tolist() if np.isfinite(v[i]).all() else None
                for name, v in zip(net.hidden, values, strict=True)
            }
    for name, a in zip(net.hidden, inference, strict=True):
        for row, share, counts in zip(rows, saturated_share(a), histogram(a), strict=True):
            row.setdefault("saturated", {})[name] = finite(share)
            row.setdefault("histogram", {})[name] = counts
    return rows
