"""Section 4.1, Figure 1: does Batch Normalization make a sigmoid MLP train faster, end higher and
keep the inputs of its nonlinearities stable?

    make mnist                                          every arm, then the figure and the table
    python -m experiments.mnist variant=bn seeds=3      one arm

All seeds of an arm train at once, as slots of one batched network. What to expect, in minutes and
numbers, stands in the README, inserted from the committed record.
"""

import logging
from pathlib import Path
from typing import Any

from bnrepro.app import application, set_up_torch
from bnrepro.claims import criteria_hash
from bnrepro.config import MnistConfig, steps_of_grid
from bnrepro.data import Dataset, open_dataset
from bnrepro.identity import config_hash, group_folder
from bnrepro.models.mlp import Slot
from bnrepro.probes.slots import measure
from bnrepro.probes.values import finite
from bnrepro.record import Record, is_finished, locked, meta
from bnrepro.run.mirror import check, flatten, open_mirrors
from bnrepro.training.group import Bar, chance_accuracy, checkpointed, ending, marking, resume
from bnrepro.training.slots import SlotTrainer
from bnrepro.validation import seed_list

log = logging.getLogger(__name__)


@application("mnist")
def main(cfg: MnistConfig) -> None:
    device = set_up_torch(cfg)
    check(cfg.wandb)
    data = open_dataset(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s: data %s from %s", folder, data.name, data.source)
    seeds = seed_list(cfg.seeds)
    with locked([folder / f"seed-{s}" for s in seeds]):
        todo = [s for s in seeds if not is_finished(folder / f"seed-{s}", identity, cfg.force)]
        if len(todo) < len(seeds):
            log.info("%s: %d of %d seeds stand already", folder, len(seeds) - len(todo), len(seeds))
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
    opening = meta(trainer.device, data.identity(), seeds)
    for record in records:
        record.begin(cfg, opening, trainer.step)
    last = cfg.duration.in_steps(cfg.optim.batch, len(data.train_images))
    stops = steps_of_grid(cfg.eval.grid, last)
    probed = set(steps_of_grid(cfg.eval.probe_grid, last))
    probe_x = trainer.x[: cfg.eval.probe_examples]
    sinks = open_mirrors(cfg, seeds, folder.name)
    with marking(records, identity), Bar(str(folder), last, trainer.step) as bar:
        for losses in checkpointed(trainer, stops, checkpoint, identity, cfg.checkpoint_every):
            rows = measure(trainer, losses, probe_x if trainer.step in probed else None)
            for i in trainer.active:
                records[i].log(rows[i])
                sinks[i].log(flatten(rows[i]))
            bar.update(trainer.step, f"accuracy {mean_accuracy(rows):.4f}")
        for record, sink, summary in zip(
            records, sinks, summaries(cfg, trainer, data, records, identity), strict=True
        ):
            record.finish(summary)
            sink.finish(summary)


def mean_accuracy(rows: list[dict[str, Any]]) -> float:
    return sum(row["test_accuracy"] for row in rows) / len(rows)


def summaries(
    cfg: MnistConfig, trainer: SlotTrainer, data: Dataset, records: list[Record], identity: str
) -> list[dict[str, Any]]:
    """How each run ended; with BN also at Algorithm 2's statistics."""
    trainer.estimate_population()
    population = trainer.accuracy("population" if trainer.net.batch_norm else "moving")[0]
    shared = {
        "steps": trainer.step,
        "wall_s": round(trainer.seconds, 3),
        "config_hash": identity,
        "criteria_hash": criteria_hash(cfg.experiment),
    }
    return [
        ending(
            record.rows(),
            trainer.first_non_finite[i],
            chance_accuracy(data),
            {"test_accuracy_population": finite(population[i])},
        )
        | shared
        for i, record in enumerate(records)
    ]


if __name__ == "__main__":
    main()
