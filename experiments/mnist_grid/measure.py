"""The rounds of the grid: every cell of every seed a slot of one batched network."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, digest, group_folder
from bnrepro.config.schema import seed_list, steps_of_grid
from bnrepro.data import Dataset, open_dataset
from bnrepro.models.mlp import Slot
from bnrepro.run.device import set_up_torch
from bnrepro.run.locks import locked
from bnrepro.run.loop import Recording, marking, record_training, resume
from bnrepro.run.progress import Bar
from bnrepro.run.record import Record, forced, is_finished, read_summary
from bnrepro.training.search import Cell, Scores, describe, search
from bnrepro.training.slot_rows import measure
from bnrepro.training.slots import SlotTrainer
from experiments.mnist_grid import MnistGridConfig

log = logging.getLogger(__name__)


def run(cfg: MnistGridConfig) -> None:
    """Search one arm's grid and record every round and the winner."""
    data = open_dataset(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s", folder)

    def train_round(name: str, cells: Sequence[Cell], share: float) -> Scores:
        return train_cells(cfg, data, Record(folder / name), identity, cells, share)

    with locked([folder], cfg.force):
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
    every = [slot for each in slots.values() for slot in each]
    trained = digest([cells, seed_list(cfg.seeds)], 8)  # cells depend on the rounds before
    with locked([record.folder], cfg.force):
        force = forced(cfg, record.folder)
        finished = is_finished(record.folder, identity, force)
        if not finished or (read_summary(record.folder) or {}).get("slots", trained) != trained:
            trainer = SlotTrainer(cfg.model, cfg.optim, every, data, set_up_torch(cfg))
            recording = Recording(
                [record] * len(every),
                steps_of_grid(cfg.eval.grid, last),
                record.folder / f"checkpoint-{trained}.pt",
                identity,
                cfg.checkpoint_every,
            )
            train(cfg, trainer, data, recording, trained, force)
    accuracy = last_accuracies(record, last)
    scores = {cell: [accuracy[slot] for slot in each] for cell, each in slots.items()}
    return {cell: sum(values) / len(values) for cell, values in scores.items()}


def slot(cfg: MnistGridConfig, cell: Cell, seed: int) -> Slot:
    """The slot of a cell: the config's rate and standard deviation unless the cell has its own."""
    values = {"lr": cfg.optim.lr, "init_std": cfg.model.init_std}
    return Slot(seed, **values | dict(zip(cfg.grid.axes, cell, strict=True)))


def train(
    cfg: MnistGridConfig,
    trainer: SlotTrainer,
    data: Dataset,
    recording: Recording,
    trained: str,
    force: bool,
) -> None:
    """Train one round's slots, recorded in one folder; `trained` is a digest of which."""
    (record,) = recording.distinct
    seeds = sorted({slot.seed for slot in trainer.slots})
    resume(trainer, recording, cfg, data, seeds, force)

    def rows(losses: Any) -> list[dict[str, Any]]:
        each = zip(trainer.slots, measure(trainer, losses, None), strict=True)
        return [{"seed": s.seed, "lr": s.lr, "init_std": s.init_std, **row} for s, row in each]

    bar = Bar(str(record.folder), recording.stops[-1], trainer.step)
    with marking([record], recording.identity), bar:
        record_training(trainer, recording, rows, bar)
        diverged = {i: s for i, s in enumerate(trainer.first_non_finite) if s is not None}
        summary = {"status": "ok", "config_hash": recording.identity, "diverged": diverged}
        ending = {"steps": trainer.step, "wall_s": round(trainer.seconds, 3), "slots": trained}
        record.finish(summary | ending)


def last_accuracies(record: Record, last: int) -> dict[Slot, float]:
    """Every slot's accuracy at the round's last step; 0 for one that diverged before."""
    ends = [row for row in record.rows() if row["step"] == last]
    found = {Slot(row["seed"], row["lr"], row["init_std"]): row["test_accuracy"] for row in ends}
    return defaultdict(float, found)
