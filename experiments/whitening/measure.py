"""Section 2: full whitening of layer inputs against BN, centring, and nothing.

All normalising arms act in the same place, x = Wu ahead of a sigmoid, differentiate through the
statistics of the mini-batch, and have the γ and β of Algorithm 1; only the transform differs:

    centre   x̂ = x − E[x]
    bn       x̂ = (x − E[x]) / √(Var[x] + ε)
    whiten   x̂ = (Cov[x] + ridge · I)^(−1/2) (x − E[x])

For inference their statistics are those of fixed training images, passed through as one batch.
"""

from dataclasses import dataclass

import torch

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.data.order import epoch_batches
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import Slot, initial_weight
from bnrepro.run.cells import run_cells
from experiments.whitening import WhiteningConfig
from experiments.whitening.cost import cost_rows, step_cost_rows
from experiments.whitening.training import TrainingCell, network_config, tuned_rows
from experiments.whitening.transforms import ARMS


@dataclass(frozen=True)
class SpectrumCell:
    """Eigenvalues of the covariance of a mini-batch."""

    batch: int


@dataclass(frozen=True)
class StepCostCell:
    """Seconds of a training step, all arms in turn."""


@dataclass(frozen=True)
class CostCell:
    """Seconds of the transforms at one width."""

    width: int
    repeats: int


Cell = TrainingCell | SpectrumCell | StepCostCell | CostCell


def run(cfg: WhiteningConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg), measure)


def cells(cfg: WhiteningConfig) -> list[Cell]:
    """Spectra, then all arms, other mini-batches and ridges, and last what needs a clock."""
    result: list[Cell] = [SpectrumCell(cfg.small_batch), SpectrumCell(cfg.batch)]
    result += [TrainingCell(cfg.batch, arm, cfg.eps) for arm in ARMS]
    result += [TrainingCell(cfg.large_batch, arm, cfg.eps) for arm in ("bn", "whiten")]
    result += [TrainingCell(cfg.small_batch, arm, cfg.eps) for arm in ("baseline", "bn")]
    result += [TrainingCell(cfg.small_batch, "whiten", ridge) for ridge in cfg.ridges]
    larger = [ridge for ridge in cfg.ridges if ridge != cfg.eps]
    result += [TrainingCell(cfg.batch, "whiten", ridge) for ridge in larger]
    result.append(StepCostCell())
    sizes = zip(cfg.cost_widths, cfg.cost_repeats, strict=True)
    return result + [CostCell(width, repeats) for width, repeats in sizes]


def measure(cfg: WhiteningConfig, data: Dataset, cell: Cell, device: torch.device) -> list[Row]:
    """The rows of one cell."""
    if isinstance(cell, SpectrumCell):
        return [spectrum_row(cfg, data, cell.batch, seed) for seed in seed_list(cfg.seeds)]
    if isinstance(cell, TrainingCell):
        return tuned_rows(cfg, data, cell, device)
    if isinstance(cell, StepCostCell):
        return step_cost_rows(cfg, data, device)
    return cost_rows(cfg, cell.width, cell.repeats, device)


def spectrum_row(cfg: WhiteningConfig, data: Dataset, batch: int, seed: int) -> Row:
    """λ_min/λ_max of the covariance of Wu in one mini-batch, first layer as initialised, float64.

    m examples leave a covariance of rank m − 1 at most.
    """
    first = epoch_batches("full", seed, 0, len(data.train_images), batch)[0]
    u = binarize(data.train_images[first]).double()
    slot = Slot(seed, 0, cfg.init_std)
    weight = initial_weight(network_config(cfg), slot, "hidden1", u.shape[1], cfg.hidden[0])
    x = u @ weight.double()
    values = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / batch)
    ratio = float(values[0].abs() / values[-1])  # rounding may put a 0 below 0
    return {"part": "spectrum", "batch": batch, "seed": seed, "ratio": ratio}
