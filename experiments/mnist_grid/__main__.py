"""The settings Section 4.1 does not give: a grid of learning rate × initial standard deviation.

    make mnist-grid                                     every arm, then the heat maps
    python -m experiments.mnist_grid variant=bn         one arm

The rule that reads the grid stands in `configs/mnist_grid.yaml`. A grid is one sweep of slots:
every cell of every seed trains side by side in one process. Each round (the first grid, every
extension, the finalists) leaves one record with a row per cell, seed and evaluated step.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config import MnistGridConfig, steps_of_grid
from bnrepro.config.claims import criteria_hash
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset, open_dataset
from bnrepro.models.mlp import Slot
from bnrepro.run.loop import Bar, checkpointed, marking, resume
from bnrepro.run.record import Record, is_finished, locked, meta
from bnrepro.training.search import Cell, best, extend, score, top
from bnrepro.training.slot_rows import measure
from bnrepro.training.slots import SlotTrainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What all rounds of an arm share."""

    cfg: MnistGridConfig
    data: Dataset
    folder: Path
    identity: str


@application("mnist_grid")
def main(cfg: MnistGridConfig) -> None:
    data = open_dataset(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s: data %s from %s", folder, data.name, data.source)
    with locked([folder]):
        choose(Sweep(cfg, data, folder, identity))


def choose(sweep: Sweep) -> None:
    """Steps 1 to 4 of the rule; the winner goes into the sweep's summary."""
    cfg, grid = sweep.cfg, sweep.cfg.grid
    cells = [Cell(lr, std) for lr in grid.lr for std in grid.std or [cfg.model.init_std]]
    short = score(train_round(sweep, "grid", cells, cfg.duration))
    left = iter(range(1, grid.max_extensions + 1))
    while (cells := extend(short, best(short), grid)) and (number := next(left, None)):
        short |= score(train_round(sweep, f"extension-{number}", cells, cfg.duration))
    finals = short  # without finalists
    if grid.finalists:
        finals = score(train_round(sweep, "finalists", top(short, grid.finalists), grid.full))
    while (cells := extend(short, best(finals), grid)) and (number := next(left, None)):
        beyond = score(train_round(sweep, f"extension-{number}", cells, cfg.duration))
        short |= beyond
        finals |= score(train_round(sweep, f"finalist-{number}", [best(beyond)], grid.full))
    finish(sweep, finals, at_edge=bool(cells))


def finish(sweep: Sweep, finals: dict[Cell, float], at_edge: bool) -> None:
    winner = best(finals)
    summary = {
        "status": "ok",
        "config_hash": sweep.identity,
        "criteria_hash": criteria_hash(sweep.cfg.experiment),
        "at_edge": at_edge,
        "winner": {**winner._asdict(), "score": finals[winner]},
    }
    Record(sweep.folder).finish(summary)
    log.info("%s: best is lr %g, std %g: %.4f", sweep.folder, *winner, finals[winner])


def train_round(
    sweep: Sweep, name: str, cells: Sequence[Cell], duration: Any
) -> list[dict[str, Any]]:
    """Train cells × seeds for a duration; the last row of every slot."""
    cfg, record = sweep.cfg, Record(sweep.folder / name)
    last = duration.in_steps(cfg.optim.batch, len(sweep.data.train_images))
    slots = [Slot(s, cell.lr, cell.std) for cell in cells for s in seed_list(cfg.seeds)]
    if not is_finished(record.folder, sweep.identity, cfg.force):
        trainer = SlotTrainer(cfg.model, cfg.optim, slots, sweep.data, set_up_torch(cfg))
        _train(sweep, record, trainer, steps_of_grid(cfg.eval.grid, last))
    rows = record.rows()
    return [_last_row(rows, slot) for slot in slots]


def _train(sweep: Sweep, record: Record, trainer: SlotTrainer, stops: list[int]) -> None:
    cfg, checkpoint = sweep.cfg, record.folder / "checkpoint.pt"
    resume(trainer, checkpoint, sweep.identity, cfg.force)
    seeds = sorted({slot.seed for slot in trainer.slots})
    record.begin(cfg, meta(trainer.device, sweep.data.identity(), seeds), trainer.step)
    bar = Bar(str(record.folder), stops[-1], trainer.step)
    with marking([record], sweep.identity), bar:
        steps = checkpointed(trainer, stops, checkpoint, sweep.identity, cfg.checkpoint_every)
        for losses in steps:
            rows = measure(trainer, losses, None)
            for i in trainer.active:
                record.log({**asdict(trainer.slots[i]), **rows[i]})
            best = max(row["test_accuracy"] for row in rows)
            bar.update(trainer.step, f"{len(trainer.active)} slots, best {best:.4f}")
        diverged = {i: s for i, s in enumerate(trainer.first_non_finite) if s is not None}
        summary = {"status": "ok", "config_hash": sweep.identity, "diverged": diverged}
        record.finish(summary | {"steps": trainer.step, "wall_s": round(trainer.seconds, 3)})


def _last_row(rows: list[dict[str, Any]], slot: Slot) -> dict[str, Any]:
    """The slot's last row, with accuracy 0 when it diverged before the round's last step."""
    own = [
        r
        for r in rows
        if (r["seed"], r["lr"], r["init_std"]) == (slot.seed, slot.lr, slot.init_std)
    ]
    if own and own[-1]["step"] == max(r["step"] for r in rows):
        return own[-1]
    return {**asdict(slot), "test_accuracy": 0.0}


if __name__ == "__main__":
    main()
