"""One recorded run of a network on images: what experiments on Section 4.2 are made of."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bnrepro.config.claims import criteria
from bnrepro.config.images import ImageConfig
from bnrepro.data import ImageSet
from bnrepro.run import processes, ranks
from bnrepro.run.loop import (
    Recording,
    chance_accuracy,
    marking,
    record_training,
    resume,
    summarise,
)
from bnrepro.run.mirror import open_mirrors
from bnrepro.run.progress import Bar
from bnrepro.run.provenance import describe_run
from bnrepro.run.record import Record, forced, is_finished, locked
from bnrepro.training.acceleration import enough_memory
from bnrepro.training.image_rows import measure
from bnrepro.training.images import ImageTrainer, in_updates, total_steps, updates_of_grid

log = logging.getLogger(__name__)


def train_seed(
    cfg: ImageConfig,
    seed: int,
    data: ImageSet,
    device: torch.device,
    folder: Path,
    identity: str,
) -> None:
    """One seed's run in `folder/seed-<k>`, unless it is finished."""
    target = folder / f"seed-{seed}"
    with locked([target] if ranks.leads() else []), enough_memory(cfg):
        force = processes.agreed(forced(cfg, target))
        if processes.agreed(is_finished(target, identity, force)):
            log.info("%s: seed %d finished before", folder, seed)
            return
        trainer = ImageTrainer(cfg, seed, data, device)
        checkpoint = folder / f"checkpoint-seed-{seed}.pt"
        resume(trainer, checkpoint, identity, force)
        processes.agree_on(trainer.step)
        if ranks.leads():
            record_run(cfg, trainer, data, Record(target), checkpoint, identity)
        else:
            for _ in trainer.run(updates_of_grid(cfg, cfg.eval.grid)):
                pass  # the first process evaluates and records


def record_run(
    cfg: ImageConfig,
    trainer: ImageTrainer,
    data: ImageSet,
    record: Record,
    checkpoint: Path,
    identity: str,
) -> None:
    """Train one network to the end of its budget or of its finite numbers, and record it."""
    meta = describe_run(trainer.device, data.identity(), [trainer.seed])
    record.begin(cfg, {**meta, "total": total_steps(cfg)}, trainer.paper_step)
    probed = set(updates_of_grid(cfg, cfg.eval.probe_grid))
    (sink,) = open_mirrors(cfg, [trainer.seed], record.folder.parent.name)
    stops, every = updates_of_grid(cfg, cfg.eval.grid), in_updates(cfg, cfg.checkpoint_every)
    recording = Recording([record], stops, checkpoint, identity, every, [sink])

    def rows(loss: Tensor) -> list[dict[str, Any]]:
        return [measure(trainer, loss, trainer.step in probed)]

    bar = Bar(str(record.folder), total_steps(cfg), trainer.paper_step)
    with marking([record], identity), bar:
        record_training(trainer, recording, rows, bar)
        chance = chance_accuracy(data, cfg.eval.test_examples)
        ending = {"test_accuracy_all": float(trainer.evaluate()[0])} if trainer.active else {}
        summary = summarise(record.rows(), trainer.non_finite_step, chance, ending) | {
            "steps": trainer.paper_step,
            "non_finite_parameters": trainer.non_finite_share(),
            "broken_images": len(trainer.source.broken),
            "wall_s": round(trainer.seconds, 3),
            "config_hash": identity,
            "criteria": criteria(cfg.experiment),
        }
        record.finish(summary)
        sink.finish(summary)
