"""The rounds of the grid: every cell of every seed a slot of one batched network."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.schema import seed_list, steps_of_grid
from bnrepro.data import Dataset, open_dataset
from bnrepro.models.mlp import Slot
from bnrepro.run.device import set_up_torch
from bnrepro.run.loop import Recording, marking, record_training, resume
from bnrepro.run.progress import Bar
from bnrepro.run.provenance import describe_run
from bnrepro.run.record import Record, is_finished, locked
from bnrepro.training.search import Cell, Scores, describe, search
from bnrepro.training.slot_rows import measure
from bnrepro.training.slots import SlotTrainer
from experiments.mnist_grid import MnistGridConfig

log = logging.getLogger(__name__)


def run(cfg: MnistGridConfig) -> None:
    """Search one arm's grid and record every round and the winner."""
    data = open_dataset(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s: data %s from %s", folder, data.name, data.source)

    def train_round(name: str, cells: Sequence[Cell], share: float) -> Scores:
        return train_cells(cfg, data, Record(folder / name), identity, cells, share)

    with locked([folder]):
        result = search(cfg.grid, train_round)
        summary = {"status": "ok", "config_hash": identity, "criteria": criteria(cfg.experiment)}
        Record(folder).finish(summary | describe(result, list(cfg.grid.axes)))
    shown = ", ".join(f"{k}={v:g}" for k, v in zip(cfg.grid.axes, result.winner, strict=True))
    log.info("%s: best is %s: %.4f", folder, shown, result.finals[result.winner])


def train_cells(
    cfg: MnistGridConfig,
    data: Dataset,
    record: Record,
    identity: str,
    cells: Sequence[Cell],
    share: float,
) -> Scores:
    """Train cells × seeds for a share of the duration; each cell's mean last accuracy."""
    last = round(share * cfg.duration.in_steps(cfg.optim.batch, len(data.train_images)))
    slots = {cell: [slot(cfg, cell, s) for s in seed_list(cfg.seeds)] for cell in cells}
    if not is_finished(record.folder, identity, cfg.force):
        every = [slot for each in slots.values() for slot in each]
        trainer = SlotTrainer(cfg.model, cfg.optim, every, data, set_up_torch(cfg))
        train(cfg, record, trainer, data, identity, steps_of_grid(cfg.eval.grid, last))
    accuracy = last_accuracies(record)
    scores = {cell: [accuracy[slot] for slot in each] for cell, each in slots.items()}
    return {cell: sum(values) / len(values) for cell, values in scores.items()}


def slot(cfg: MnistGridConfig, cell: Cell, seed: int) -> Slot:
    """The slot of a cell: the config's rate and standard deviation unless the cell has its own."""
    values = {"lr": cfg.optim.lr, "init_std": cfg.model.init_std}
    return Slot(seed, **values | dict(zip(cfg.grid.axes, cell, strict=True)))


def train(
    cfg: MnistGridConfig,
    record: Record,
    trainer: SlotTrainer,
    data: Dataset,
    identity: str,
    stops: list[int],
) -> None:
    """Train one round's slots, recorded in one folder."""
    checkpoint = record.folder / "checkpoint.pt"
    resume(trainer, checkpoint, identity, cfg.force)
    seeds = sorted({slot.seed for slot in trainer.slots})
    meta = {**describe_run(trainer.device, data.identity(), seeds), "total": stops[-1]}
    record.begin(cfg, meta, trainer.step)
    records = [record] * len(trainer.slots)
    recording = Recording(records, stops, checkpoint, identity, cfg.checkpoint_every)

    def rows(losses: Any) -> list[dict[str, Any]]:
        each = zip(trainer.slots, measure(trainer, losses, None), strict=True)
        return [{**asdict(slot), **row} for slot, row in each]

    with marking([record], identity), Bar(str(record.folder), stops[-1], trainer.step) as bar:
        record_training(trainer, recording, rows, bar)
        diverged = {i: s for i, s in enumerate(trainer.first_non_finite) if s is not None}
        summary = {"status": "ok", "config_hash": identity, "diverged": diverged}
        record.finish(summary | {"steps": trainer.step, "wall_s": round(trainer.seconds, 3)})


def last_accuracies(record: Record) -> dict[Slot, float]:
    """Every slot's last accuracy; 0 for one that diverged before the round's last step."""
    rows: dict[Slot, list[dict[str, Any]]] = defaultdict(list)
    for row in record.rows():
        rows[Slot(row["seed"], row["lr"], row["init_std"])].append(row)
    last = max(each[-1]["step"] for each in rows.values())
    found = {s: each[-1] for s, each in rows.items() if each[-1]["step"] == last}
    return defaultdict(float, {s: row["test_accuracy"] for s, row in found.items()})
