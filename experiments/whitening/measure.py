"""Section 2: full whitening of layer inputs against BN, centring, and nothing.

All normalising arms act in the same place, x = Wu ahead of a sigmoid, differentiate through the
statistics of the mini-batch, and have the γ and β of Algorithm 1; only the transform differs:

    centre   x̂ = x − E[x]
    bn       x̂ = (x − E[x]) / √(Var[x] + ε)
    whiten   x̂ = (Cov[x] + ridge · I)^(−1/2) (x − E[x])

For inference their statistics are those of fixed training images, passed through as one batch.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset, split_validation
from bnrepro.data.order import epoch_batches
from bnrepro.evidence.tables import Row
from bnrepro.run.cells import Cell, run_cells
from bnrepro.training.slot_rows import by_slot, first_layer, sweep_trainer
from bnrepro.training.slots import SlotTrainer
from experiments.whitening import WhiteningConfig
from experiments.whitening.cost import cost_rows, step_cost_rows
from experiments.whitening.transforms import ARMS, transform_of


def run(cfg: WhiteningConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg))


def cells(cfg: WhiteningConfig) -> list[Cell]:
    """Spectra, then all arms, other mini-batches and ridges, and last what needs a clock."""
    networks = [(cfg.batch, arm, cfg.eps) for arm in ARMS]
    networks += [(cfg.large_batch, arm, cfg.eps) for arm in ("bn", "whiten")]
    networks += [(cfg.small_batch, arm, cfg.eps) for arm in ("baseline", "bn")]
    networks += [(cfg.small_batch, "whiten", ridge) for ridge in cfg.ridges]
    networks += [(cfg.batch, "whiten", ridge) for ridge in cfg.ridges if ridge != cfg.eps]
    sizes = zip(cfg.cost_widths, cfg.cost_repeats, strict=True)
    return [
        *(partial(spectrum_rows, batch=batch) for batch in (cfg.small_batch, cfg.batch)),
        *(partial(tuned_rows, batch=m, arm=arm, ridge=ridge) for m, arm, ridge in networks),
        step_cost_rows,
        *(partial(cost_rows, width=width, repeats=repeats) for width, repeats in sizes),
    ]


def spectrum_rows(
    cfg: WhiteningConfig, data: Dataset, device: torch.device, batch: int
) -> Iterator[Row]:
    """λ_min/λ_max of the covariance of Wu in one mini-batch, first layer as initialised, float64.

    m examples leave a covariance of rank m − 1 at most.
    """
    for seed in seed_list(cfg.seeds):
        first = epoch_batches("full", seed, 0, len(data.train_images), batch)[0]
        u, weight = first_layer(cfg, data.train_images[first], seed, cfg.hidden[0])
        x = u @ weight
        values = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / batch)
        ratio = float(values[0].abs() / values[-1])  # rounding may put a 0 below 0
        yield {"part": "spectrum", "batch": batch, "seed": seed, "ratio": ratio}


def tuned_rows(
    cfg: WhiteningConfig, data: Dataset, device: torch.device, batch: int, arm: str, ridge: float
) -> list[Row]:
    """Every rate on held-out images and the tuning seed, then the best rate on the seeds.

    Best is the highest accuracy on the held-out images after all steps, of equals the lower rate.
    """
    key, transform = {"batch": batch, "arm": arm, "ridge": ridge}, transform_of(arm, ridge)
    held_out, rates = split_validation(data, cfg.tuning_images), sorted(cfg.lr)
    seeds = [cfg.tuning_seed]
    tuner = sweep_trainer(cfg, held_out, device, transform, rates, batch=batch, seeds=seeds)
    tuning = [{"part": "tuning", **key, **row} for row in curve_rows(cfg, tuner, cfg.stops[-1:])]
    best = max(tuning, key=lambda row: -1.0 if row["accuracy"] is None else row["accuracy"])
    trainer = sweep_trainer(cfg, data, device, transform, [best["lr"]], batch=batch)
    curves = curve_rows(cfg, trainer, cfg.stops)
    return [*tuning, *({"part": "training", **key, **row} for row in curves)]


def curve_rows(cfg: WhiteningConfig, trainer: SlotTrainer, stops: Sequence[int]) -> Iterator[Row]:
    """A row a network and stop; a network that left the finite numbers has None from then on."""
    lost = dict.fromkeys(("accuracy", "test_loss", "loss"))
    for losses in trainer.run(stops):
        trainer.net.freeze(trainer.x[: cfg.population_examples])
        accuracy, test_loss = trainer.accuracy("population")
        columns = {"accuracy": accuracy, "test_loss": test_loss, "loss": losses}
        for i, (slot, row) in enumerate(by_slot(trainer, columns)):
            alive = row if i in trainer.active else row | {"accuracy": None, "test_loss": None}
            yield {"lr": slot.lr, "seed": slot.seed, "step": trainer.step, **alive}
    for step in [s for s in stops if s > trainer.step]:  # the loop ended early: all diverged
        yield from ({"lr": s.lr, "seed": s.seed, "step": step, **lost} for s in trainer.slots)
