"""Recorded runs of networks on images: what experiments on Section 4.2 are made of."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.images import ImageConfig
from bnrepro.config.schema import seed_list
from bnrepro.data import ImageSet, open_images
from bnrepro.run import processes
from bnrepro.run.device import set_up_torch
from bnrepro.run.locks import locked
from bnrepro.run.loop import Recording, chance_accuracy, marking, record_training, resume, summarise
from bnrepro.run.mirror import check, open_mirrors
from bnrepro.run.progress import Bar
from bnrepro.run.ranks import leads
from bnrepro.run.record import Record, forced, is_finished
from bnrepro.run.tensorboard import check_tensorboard
from bnrepro.training.acceleration import enough_memory
from bnrepro.training.image_rows import measure
from bnrepro.training.images import ImageTrainer, in_updates, total_steps, updates_of_grid

log = logging.getLogger(__name__)
Keep = Callable[[ImageTrainer], Mapping[str, bytes]]  # files for the record of a trained network


def train_arm(cfg: ImageConfig, keep: Keep | None = None) -> None:
    """Train the seeds of an arm that are not finished, one after the other."""
    device = set_up_torch(cfg)
    check(cfg.wandb)
    check_tensorboard(cfg.tensorboard)
    cfg.processes = processes.join(device, cfg.processes)
    data = open_images(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s", folder)
    seeds = seed_list(cfg.seeds)
    with processes.together():
        processes.agree(config=config_hash(cfg, ""), data=data.checksum, seeds=seeds)
        for seed in seeds:
            train_seed(cfg, seed, data, device, folder, identity, keep)


def train_seed(
    cfg: ImageConfig, seed: int, data: ImageSet, device: torch.device, folder: Path, identity: str,
    keep: Keep | None = None,
) -> None:  # fmt: skip
    """One seed's run in `folder/seed-<k>`, unless it is finished."""
    target = folder / f"seed-{seed}"
    with contextlib.ExitStack() as stack, enough_memory(cfg):
        processes.decided(lambda: stack.enter_context(locked([target], cfg.force)))
        force = processes.decided(lambda: forced(cfg, target))
        if processes.decided(lambda: is_finished(target, identity, force)):
            log.info("%s: seed %d finished before", folder, seed)
            return
        trainer = ImageTrainer(cfg, seed, data, device)
        recording = Recording(
            [Record(target)],
            updates_of_grid(cfg, cfg.eval.grid),
            folder / f"checkpoint-seed-{seed}.pt",
            identity,
            in_updates(cfg, cfg.checkpoint_every),
        )
        resume(trainer, recording, cfg, data, [seed], force)
        if leads():
            record_run(cfg, trainer, data, recording, keep)
        else:
            for _ in trainer.run(recording.stops):
                pass  # the first process evaluates and records


def record_run(
    cfg: ImageConfig, trainer: ImageTrainer, data: ImageSet, recording: Recording,
    keep: Keep | None = None,
) -> None:  # fmt: skip
    """Train one network to the end of its budget or of its finite numbers, and record it.

    What `keep` makes of a network that stayed finite becomes part of the record.
    """
    (record,) = recording.records
    probed = set(updates_of_grid(cfg, cfg.eval.probe_grid))
    sinks = open_mirrors(cfg, [trainer.seed], record.folder.parent, trainer.paper_step)

    def rows(loss: Tensor) -> list[dict[str, Any]]:
        return [measure(trainer, loss, trainer.step in probed)]

    bar = Bar(str(record.folder), total_steps(cfg), trainer.paper_step)
    with marking([record], recording.identity), bar:
        record_training(trainer, recording, rows, bar, sinks)
        chance = chance_accuracy(data, cfg.eval.test_examples)
        ending = last_accuracies(trainer) if trainer.active else {}
        for name, content in keep(trainer).items() if keep and trainer.active else ():
            record.keep(name, content)
        summary = summarise(record.rows(), trainer.non_finite_step, chance, ending) | {
            "steps": trainer.paper_step,
            "non_finite_parameters": trainer.non_finite_share(),
            "broken_images": len(trainer.source.broken),
            "wall_s": round(trainer.seconds, 3),
            "config_hash": recording.identity,
            "criteria": criteria(cfg.experiment),
        }
        record.finish(summary)
    sinks[0].finish(summary)


def last_accuracies(trainer: ImageTrainer) -> dict[str, float]:
    """Accuracy on all test images and, where the config asks for it, on training images."""
    result = {"test_accuracy_all": float(trainer.evaluate()[0])}
    if count := trainer.cfg.eval.train_examples:
        result["train_accuracy"] = trainer.training_accuracy(count)
    return result
