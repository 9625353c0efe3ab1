"""Section 4.1: the training runs of Figure 1."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, digest, group_folder
from bnrepro.config.schema import seed_list, steps_of_grid
from bnrepro.data import Dataset, open_dataset
from bnrepro.errors import UserError
from bnrepro.models.mlp import Slot
from bnrepro.run.device import set_up_torch
from bnrepro.run.locks import locked
from bnrepro.run.loop import Recording, chance_accuracy, marking, record_training, resume, summarise
from bnrepro.run.mirror import check, open_mirrors
from bnrepro.run.progress import Bar
from bnrepro.run.record import Record, forced, is_finished, read_meta
from bnrepro.run.tensorboard import check_tensorboard
from bnrepro.run.values import finite
from bnrepro.training.slot_rows import measure
from bnrepro.training.slots import SlotTrainer
from experiments.mnist import MnistConfig

log = logging.getLogger(__name__)


def run(cfg: MnistConfig) -> None:
    """Train the seeds that are not finished, all at once."""
    device = set_up_torch(cfg)
    check(cfg.wandb)
    check_tensorboard(cfg.tensorboard)
    data = open_dataset(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s", folder)
    runs = {s: folder / f"seed-{s}" for s in seed_list(cfg.seeds)}
    with locked(list(runs.values()), cfg.force):
        force = all(forced(cfg, run) for run in runs.values())
        todo = with_group(runs, [s for s in runs if not is_finished(runs[s], identity, force)])
        if len(todo) < len(runs):
            finished = len(runs) - len(todo)
            log.info("%s: %d of %d seeds finished before", folder, finished, len(runs))
        if todo:
            slots = [Slot(s, cfg.optim.lr, cfg.model.init_std) for s in todo]
            trainer = SlotTrainer(cfg.model, cfg.optim, slots, data, device)
            train(cfg, trainer, data, recording_of(cfg, data, [runs[s] for s in todo]), force)


def recording_of(cfg: MnistConfig, data: Dataset, runs: Sequence[Path]) -> Recording:
    """Where the rows of runs that train together go; their checkpoint is named by a digest."""
    last = cfg.duration.in_steps(cfg.optim.batch, len(data.train_images))
    return Recording(
        [Record(run) for run in runs],
        steps_of_grid(cfg.eval.grid, last),
        runs[0].parent / f"checkpoint-{digest([run.name for run in runs], 8)}.pt",
        config_hash(cfg, data.checksum),
        cfg.checkpoint_every,
    )


def with_group(runs: Mapping[int, Path], unfinished: list[int]) -> list[int]:
    """The unfinished seeds; all seeds of their group where its other records are finished.

    A kill may fall between the summaries of a group, or one record be damaged. An unfinished seed
    alone would begin anew, and its last digits would be others.
    """
    groups = {seed: group_of(run) for seed, run in runs.items()}
    group = next((g for g in groups.values() if set(unfinished) <= set(g)), unfinished)
    agreed = all(groups.get(seed) in (group, []) for seed in group)
    return group if unfinished and agreed else unfinished


def group_of(run: Path) -> list[int]:
    """The seeds that a run was trained with; none where that is not known."""
    group = None
    with contextlib.suppress(UserError):
        group = read_meta(run).get("group")
    return group if isinstance(group, list) and {type(seed) for seed in group} == {int} else []


def train(
    cfg: MnistConfig, trainer: SlotTrainer, data: Dataset, recording: Recording, force: bool
) -> None:
    """Train all slots to the end, leaving one run record a seed."""
    seeds = [slot.seed for slot in trainer.slots]
    resume(trainer, recording, cfg, data, seeds, force)
    probed = set(steps_of_grid(cfg.eval.probe_grid, recording.stops[-1]))
    probe_x = trainer.x[: cfg.eval.probe_examples]

    def rows(losses: Tensor) -> list[dict[str, Any]]:
        return measure(trainer, losses, probe_x if trainer.step in probed else None)

    records, folder = recording.distinct, recording.checkpoint.parent
    sinks = open_mirrors(cfg, seeds, folder, trainer.step)
    bar = Bar(str(folder), recording.stops[-1], trainer.step)
    with marking(records, recording.identity), bar:
        record_training(trainer, recording, rows, bar, sinks)
        summaries = summarise_runs(cfg, trainer, data, recording)
        for record, summary in zip(records, summaries, strict=True):
            record.finish(summary)
    for sink, summary in zip(sinks, summaries, strict=True):
        sink.finish(summary)


def summarise_runs(
    cfg: MnistConfig, trainer: SlotTrainer, data: Dataset, recording: Recording
) -> list[dict[str, Any]]:
    """How each run ended; with BN also at Algorithm 2's statistics."""
    trainer.estimate_population()
    population = trainer.accuracy("population")[0]
    shared = {
        "steps": trainer.step,
        "wall_s": round(trainer.seconds, 3),
        "config_hash": recording.identity,
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
        for i, record in enumerate(recording.records)
    ]
