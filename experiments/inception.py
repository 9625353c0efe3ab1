"""Section 4.2, Figures 2 and 3: how many fewer steps does Inception need with BN, and how does it
fare at rates that the plain network does not survive?

    make inception                                        every arm and seed of a scale, then figure
    python -m experiments.inception variant=bn_x5 seeds=1

Seven arms: the paper's five and its two failing controls. A run that diverges is a result: the step
is recorded and the command ends well.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bnrepro.app import application, set_up_torch
from bnrepro.claims import criteria_hash
from bnrepro.data import ImageSet, open_images
from bnrepro.identity import config_hash, group_folder
from bnrepro.inception_config import InceptionConfig
from bnrepro.probes.images import measure
from bnrepro.record import Record, forced, is_finished, locked, meta
from bnrepro.run.mirror import check, flatten, open_mirrors
from bnrepro.training import processes
from bnrepro.training.acceleration import enough_memory
from bnrepro.training.group import Bar, chance_accuracy, checkpointed, ending, marking, resume
from bnrepro.training.images import ImageTrainer, in_updates, total_steps, updates_of_grid
from bnrepro.validation import seed_list

log = logging.getLogger(__name__)


@application("inception")
def main(cfg: InceptionConfig) -> None:
    device = set_up_torch(cfg)
    check(cfg.wandb)
    cfg.processes = processes.join(device, cfg.processes)
    data = open_images(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s: data %s from %s", folder, data.name, data.source)
    with processes.together():
        for seed in seed_list(cfg.seeds):
            run(cfg, seed, data, device, folder, identity)


def run(
    cfg: InceptionConfig,
    seed: int,
    data: ImageSet,
    device: torch.device,
    folder: Path,
    identity: str,
) -> None:
    """One seed's run, unless it stands already."""
    own = folder / f"seed-{seed}"
    with locked([own] if processes.leads() else []), enough_memory(cfg):
        force = processes.agreed(forced(cfg, own))
        if processes.agreed(is_finished(own, identity, force)):
            log.info("%s: seed %d stands already", folder, seed)
            return
        trainer = ImageTrainer(cfg, seed, data, device)
        checkpoint = folder / f"checkpoint-seed-{seed}.pt"
        resume(trainer, checkpoint, identity, force)
        processes.agree_on(trainer.step)
        stops = updates_of_grid(cfg, cfg.eval.grid)
        if processes.leads():
            every = in_updates(cfg, cfg.checkpoint_every)
            losses = checkpointed(trainer, stops, checkpoint, identity, every)
            train(cfg, trainer, losses, data, folder, identity)
        else:
            follow(trainer, stops)


def follow(trainer: ImageTrainer, stops: Sequence[int]) -> None:
    """What all processes but the first do: train along."""
    for _ in trainer.run(stops):
        pass


def train(
    cfg: InceptionConfig,
    trainer: ImageTrainer,
    losses: Iterator[Tensor],
    data: ImageSet,
    folder: Path,
    identity: str,
) -> None:
    """Train one network to the end of its budget or of its finite numbers, and record it."""
    record = Record(folder / f"seed-{trainer.seed}")
    record.begin(cfg, meta(trainer.device, data.identity(), [trainer.seed]), trainer.paper_step)
    probed = set(updates_of_grid(cfg, cfg.eval.probe_grid))
    (sink,) = open_mirrors(cfg, [trainer.seed], folder.name)
    bar = Bar(f"{folder}/seed-{trainer.seed}", total_steps(cfg), trainer.paper_step)
    with marking([record], identity), bar:
        for loss in losses:
            if trainer.active:
                row = measure(trainer, loss, trainer.step in probed)
                record.log(row)
                sink.log(flatten(row))
                speed = row["examples"] / trainer.seconds
                bar.update(row["step"], f"{speed:.0f} images/s, {row['test_accuracy']:.4f}")
        chance = chance_accuracy(data, cfg.eval.test_examples)
        summary = ending(record.rows(), trainer.non_finite_step, chance, final(trainer)) | {
            "steps": trainer.paper_step,
            "non_finite_parameters": trainer.non_finite_share(),
            "broken_images": len(trainer.source.broken),
            "wall_s": round(trainer.seconds, 3),
            "config_hash": identity,
            "criteria_hash": criteria_hash(cfg.experiment),
        }
        record.finish(summary)
        sink.finish(summary)


def final(trainer: ImageTrainer) -> dict[str, float]:
    """The last accuracy on every test image, not on the part that is evaluated on the way."""
    return {"test_accuracy_all": float(trainer.evaluate()[0])} if trainer.active else {}


if __name__ == "__main__":
    main()
