"""Networks of all arms, each at its best learning rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from bnrepro.config.schema import ModelConfig, OptimConfig, seed_list
from bnrepro.data import Dataset, split_validation
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import Slot
from bnrepro.run.values import number
from bnrepro.training.slots import SlotTrainer
from experiments.whitening import WhiteningConfig
from experiments.whitening.transforms import transform_of


@dataclass(frozen=True)
class TrainingCell:
    """Networks of one arm, tuned and then trained with all seeds."""

    batch: int
    arm: str
    ridge: float  # ε for bn; of no effect on baseline and centre


def network_config(cfg: WhiteningConfig) -> ModelConfig:
    """The network that all arms share."""
    return ModelConfig(cfg.hidden, "sigmoid", "none", "normal", cfg.init_std, cfg.eps, 0.1)


def make_trainer(
    cfg: WhiteningConfig,
    cell: TrainingCell,
    slots: Sequence[Slot],
    data: Dataset,
    device: torch.device,
) -> SlotTrainer:
    """A trainer of one network a slot, with the cell's transform and mini-batch."""
    optim, transform = OptimConfig(0.0, 0.0, cell.batch), transform_of(cell.arm, cell.ridge)
    return SlotTrainer(network_config(cfg), optim, slots, data, device, transform)


def tuned_rows(
    cfg: WhiteningConfig, data: Dataset, cell: TrainingCell, device: torch.device
) -> list[Row]:
    """Every rate on held-out images and the tuning seed, then the best rate on the seeds.

    Best is the highest accuracy on the held-out images after all steps, of equals the lower rate.
    """
    held_out = split_validation(data, cfg.tuning_images)
    slots = [Slot(cfg.tuning_seed, lr, cfg.init_std) for lr in sorted(cfg.lr)]
    tuning = list(curve_rows(cfg, held_out, cell, slots, device, cfg.stops[-1:]))
    best = max(tuning, key=lambda row: -1.0 if row["accuracy"] is None else row["accuracy"])
    slots = [Slot(seed, best["lr"], cfg.init_std) for seed in seed_list(cfg.seeds)]
    curves = curve_rows(cfg, data, cell, slots, device, cfg.stops)
    return [{"part": "tuning", **r} for r in tuning] + [{"part": "training", **r} for r in curves]


def curve_rows(
    cfg: WhiteningConfig,
    data: Dataset,
    cell: TrainingCell,
    slots: Sequence[Slot],
    device: torch.device,
    stops: Sequence[int],
) -> Iterator[Row]:
    """A row a network and stop; a network that left the finite numbers has None from then on."""
    trainer = make_trainer(cfg, cell, slots, data, device)
    key = {"batch": cell.batch, "arm": cell.arm, "ridge": cell.ridge}
    for losses in trainer.run(stops):
        trainer.net.freeze(trainer.x[: cfg.population_examples])
        accuracy, test_loss = trainer.accuracy("population")
        for i, slot in enumerate(slots):
            alive = i in trainer.active
            yield {
                **key,
                "lr": slot.lr,
                "seed": slot.seed,
                "step": trainer.step,
                "accuracy": float(accuracy[i]) if alive else None,
                "test_loss": number(test_loss[i]) if alive else None,
                "loss": number(losses[i]),
            }
    lost = dict.fromkeys(("accuracy", "test_loss", "loss"))
    for step in [s for s in stops if s > trainer.step]:  # the loop ended early: all diverged
        yield from ({**key, "lr": s.lr, "seed": s.seed, "step": step, **lost} for s in slots)
