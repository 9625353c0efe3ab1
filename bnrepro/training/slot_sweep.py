"""Sweeps over small networks: arms × axes × seeds × probes, as a config's `sweep` lists them.

    def run(cfg: LearningRateConfig) -> None:
        run_sweep(cfg)

A cell is one batched trainer: networks that differ in the settings of a slot train side by side. A
row is one network at one stop. A network that diverges keeps its rows: `outcome` is `non-finite`,
`first_non_finite` the step.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.config.slot_sweep import ARMS, SLOT_AXES, SlotSweepConfig
from bnrepro.data import Dataset
from bnrepro.models.mlp import HiddenLayer, Slot
from bnrepro.models.transforms import Transform
from bnrepro.run.cells import run_cells
from bnrepro.run.loop import chance_accuracy, describe_outcome
from bnrepro.run.values import finite
from bnrepro.training.probes import constant_units, effective_step
from bnrepro.training.slots import SlotTrainer

Row = dict[str, Any]
Layers = Sequence[HiddenLayer]
Probe = Callable[[SlotTrainer, Layers], Mapping[str, Tensor]]  # columns, a value a slot (S,)
PROBES: dict[str, Probe] = {"units": constant_units, "weights": effective_step}


@dataclass(frozen=True)
class SweepCell:
    """Networks that train side by side, and what all of them share."""

    block: str
    shared: Mapping[str, Any]
    slots: tuple[Slot, ...]
    axes: tuple[str, ...]  # the settings of a slot that the block sweeps
    stops: tuple[int, ...]  # steps after which each network leaves a row


@dataclass(frozen=True)
class Hooks:
    """What an experiment adds to a sweep; functions of a module, for processes to find them.

    Attributes:
        transform: what normalises a cell's networks; None: what the arm says.
        prepare: changes the networks before they train.
        probes: more columns, by the names that the config uses.
    """

    transform: Callable[[Any, SweepCell], Transform | None] | None = None
    prepare: Callable[[SlotTrainer, SweepCell], None] | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)


def run_sweep(cfg: SlotSweepConfig, hooks: Hooks | None = None) -> Path:
    """Train and measure every cell and record a row a network and stop; the record's folder."""
    measure = functools.partial(measure_cell, hooks=hooks or Hooks())
    return run_cells(cfg, sweep_cells(cfg), measure)


def sweep_cells(cfg: SlotSweepConfig) -> list[SweepCell]:
    """The cells in the order of the config: block by block, the last axis changing first.

    Where the slots of a cell are more than `cfg.slots`, they are shared out evenly.
    """
    cells = []
    for block, axes in cfg.sweep.items():
        swept = tuple(key for key in axes if key in SLOT_AXES)
        slots = [slot(cfg, v, s) for v in combinations(axes, swept) for s in seed_list(cfg.seeds)]
        keys = [key for key in axes if key not in (*SLOT_AXES, "stops")]
        stops = tuple(axes.get("stops", cfg.stops))
        for shared in combinations(axes, keys):
            each = parts(slots, cfg.slots)
            cells += [SweepCell(block, shared, part, swept, stops) for part in each]
    return cells


def combinations(axes: Mapping[str, Sequence[Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Every combination of the values of these axes."""
    product = itertools.product(*(axes[key] for key in keys))
    return [dict(zip(keys, values, strict=True)) for values in product]


def slot(cfg: SlotSweepConfig, values: Mapping[str, float], seed: int) -> Slot:
    """The slot with these values; what no axis sets, the config does."""
    return Slot(seed, **{"lr": cfg.optim.lr, "init_std": cfg.model.init_std, **values})


def parts(slots: Sequence[Slot], most: int) -> list[tuple[Slot, ...]]:
    """The slots in as few parts of at most `most` as there can be, of equal size but for one."""
    size = -(-len(slots) // -(-len(slots) // most))
    return [tuple(slots[i : i + size]) for i in range(0, len(slots), size)]


def build(
    cfg: SlotSweepConfig, data: Dataset, cell: SweepCell, device: torch.device, hooks: Hooks
) -> SlotTrainer:
    """The trainer of a cell, its networks as the sweep starts them."""
    model = replace(cfg.model, norm=ARMS.get(cell.shared["arm"], cfg.model.norm))
    model = replace(model, **only(cell.shared, model))
    optim = replace(cfg.optim, **only(cell.shared, cfg.optim))
    transform = hooks.transform(cfg, cell) if hooks.transform else None
    part = narrow(data, cell.shared.get("train_images"), cfg.test_examples)
    trainer = SlotTrainer(model, optim, cell.slots, part, device, transform)
    if hooks.prepare:
        hooks.prepare(trainer, cell)
    return trainer


def only(shared: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """The values that are keys of this part of the config."""
    return {f.name: shared[f.name] for f in fields(config) if f.name in shared}


def narrow(data: Dataset, train: int | None, test: int | None) -> Dataset:
    """The first images of both parts; None: all."""
    return replace(
        data,
        train_images=data.train_images[:train],
        train_labels=data.train_labels[:train],
        test_images=data.test_images[:test],
        test_labels=data.test_labels[:test],
    )


def measure_cell(
    cfg: SlotSweepConfig, data: Dataset, cell: SweepCell, device: torch.device, hooks: Hooks
) -> Iterator[Row]:
    """Train a cell's networks; a row a network and stop."""
    trainer = build(cfg, data, cell, device, hooks)
    chance = chance_accuracy(data, cfg.test_examples)
    probes = [(PROBES | dict(hooks.probes))[name] for name in cfg.probes]
    for stop in cell.stops:
        losses = next(trainer.run([stop]), None)  # None: step 0, or no network is finite
        columns = measure_stop(cfg, trainer, losses, probes)
        wall_s = round(trainer.seconds / len(trainer.slots), 4)  # of each of these networks
        for i, row in enumerate(key_rows(cell)):
            values = {name: finite(column[i]) for name, column in columns.items()}
            first, accuracy = trainer.first_non_finite[i], values["test_accuracy"]
            if first is not None:
                values = dict.fromkeys(values)
            outcome = describe_outcome(first, accuracy, chance)
            row |= {"step": stop, "outcome": outcome, "first_non_finite": first}
            yield row | {"chance": round(chance, 6), "wall_s": wall_s} | values


def key_rows(cell: SweepCell) -> Iterator[Row]:
    """What names each network of a cell; of `hidden` its depth and width."""
    shared = dict(cell.shared)
    if hidden := shared.pop("hidden", None):
        shared |= {"depth": len(hidden), "width": max(hidden)}
    for each in cell.slots:
        swept = {axis: getattr(each, axis) for axis in cell.axes}
        yield {"part": cell.block, **shared, **swept, "seed": each.seed}


def measure_stop(
    cfg: SlotSweepConfig, trainer: SlotTrainer, losses: Tensor | None, probes: Sequence[Probe]
) -> dict[str, Tensor]:
    """Losses, test accuracy and the probes' columns, a value a slot.

    BN is evaluated with population statistics as Algorithm 2 takes them, here of the first
    `probe_examples` training images as one batch, after every stop; probes see those images.
    """
    layers = trainer.net.freeze(trainer.x[: cfg.probe_examples])
    accuracy, test_loss = trainer.accuracy("population")
    none = torch.full_like(test_loss, torch.nan)
    columns = {"train_loss": none if losses is None else losses}
    columns |= {"test_accuracy": accuracy, "test_loss": test_loss}
    for probe in probes:
        columns |= probe(trainer, layers)
    return columns
