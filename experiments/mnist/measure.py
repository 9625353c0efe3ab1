"""Section 4.1: the training runs of Figure 1."""

import logging
from pathlib import Path
from typing import Any

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.schema import seed_list, steps_of_grid
from bnrepro.data import Dataset, open_dataset
from bnrepro.models.mlp import Slot
from bnrepro.run.device import set_up_torch
from bnrepro.run.loop import (
    Recording,
    chance_accuracy,
    marking,
    record_training,
    resume,
    summarise,
)
from bnrepro.run.mirror import check, open_mirrors
from bnrepro.run.progress import Bar
from bnrepro.run.provenance import describe_run
from bnrepro.run.record import Record, is_finished, locked
from bnrepro.run.values import finite
from bnrepro.training.slot_rows import measure
from bnrepro.training.slots import SlotTrainer
from experiments.mnist import MnistConfig

log = logging.getLogger(__name__)


def run(cfg: MnistConfig) -> None:
    """Train the seeds that are not finished, all at once."""
    device = set_up_torch(cfg)
    check(cfg.wandb)
    data = open_dataset(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s: data %s from %s", folder, data.name, data.source)
    seeds = seed_list(cfg.seeds)
    with locked([folder / f"seed-{s}" for s in seeds]):
        todo = [s for s in seeds if not is_finished(folder / f"seed-{s}", identity, cfg.force)]
        if len(todo) < len(seeds):
            finished = len(seeds) - len(todo)
            log.info("%s: %d of %d seeds finished before", folder, finished, len(seeds))
        if todo:
            slots = [Slot(s, cfg.optim.lr, cfg.model.init_std) for s in todo]
            trainer = SlotTrainer(cfg.model, cfg.optim, slots, data, device)
            train(cfg, trainer, data, folder, identity)


def train(
    cfg: MnistConfig, trainer: SlotTrainer, data: Dataset, folder: Path, identity: str
) -> None:
    """Train all slots to the end, leaving one run record a seed."""
    seeds = [slot.seed for slot in trainer.slots]
    checkpoint = folder / f"checkpoint-seeds-{'-'.join(map(str, seeds))}.pt"
    records = [Record(folder / f"seed-{s}") for s in seeds]
    resume(trainer, checkpoint, identity, cfg.force, records, seeds)
    last = cfg.duration.in_steps(cfg.optim.batch, len(data.train_images))
    meta = {**describe_run(trainer.device, data.identity(), seeds), "total": last}
    for record in records:
        record.begin(cfg, meta, trainer.step)
    stops = steps_of_grid(cfg.eval.grid, last)
    probed = set(steps_of_grid(cfg.eval.probe_grid, last))
    probe_x = trainer.x[: cfg.eval.probe_examples]
    sinks = open_mirrors(cfg, seeds, folder.name)
    recording = Recording(records, stops, checkpoint, identity, cfg.checkpoint_every, sinks)
    with marking(records, identity), Bar(str(folder), last, trainer.step) as bar:
        record_training(
            trainer,
            recording,
            lambda losses: measure(trainer, losses, probe_x if trainer.step in probed else None),
            bar,
        )
        summaries = summarise_runs(cfg, trainer, data, records, identity)
        for record, sink, summary in zip(records, sinks, summaries, strict=True):
            record.finish(summary)
            sink.finish(summary)


def summarise_runs(
    cfg: MnistConfig, trainer: SlotTrainer, data: Dataset, records: list[Record], identity: str
) -> list[dict[str, Any]]:
    """How each run ended; with BN also at Algorithm 2's statistics."""
    trainer.estimate_population()
    population = trainer.accuracy("population")[0]
    shared = {
        "steps": trainer.step,
        "wall_s": round(trainer.seconds, 3),
        "config_hash": identity,
        "criteria": criteria(cfg.experiment),
    }
    return [
        summarise(
            record.rows(),
            trainer.first_non_finite[i],
            chance_accuracy(data),
            {"test_accuracy_population": finite(population[i])},
        )
        | shared
        for i, record in enumerate(records)
    ]
