"""One cell of the map: a network trained with its whole decay inside a budget."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bnrepro.config.schema import seed_list, steps_of_grid
from bnrepro.data import ImageSet
from bnrepro.evidence.tables import Row
from bnrepro.run.cells import run_cells
from bnrepro.run.loop import chance_accuracy, describe_outcome
from bnrepro.training.images import ImageTrainer, in_updates, total_steps
from experiments.speedup import SpeedupConfig, describe, rate

# what the plain network of 4.2.2 has and the clean recipe has not
PAPER_RECIPE: dict[str, dict[str, Any]] = {
    "model": {"dropout": 0.4, "lrn": True},
    "optim": {"weight_decay_divisor": 1.0},
    "pictures": {"shuffle": "fixed", "photometric": 0.4},
}


@dataclass(frozen=True)
class Cell:
    """A network of one arm at one rate, with a budget."""

    seed: int
    regime: int  # its number
    arm: str  # plain | bn
    place: int
    budget: int


def run(cfg: SpeedupConfig) -> None:
    """Measure all cells, the first seed's first."""
    run_cells(cfg, cells(cfg), measure)


def cells(cfg: SpeedupConfig) -> list[Cell]:
    """Every regime's plain networks with T steps, and those with BN at every budget."""
    result = []
    for seed in seed_list(cfg.seeds):
        for i, regime in enumerate(cfg.regimes):
            steps = regime.steps or cfg.budget.steps
            result += [Cell(seed, i, "plain", k, steps) for k in regime.plain]
            budgets = regime.budgets or cfg.budgets
            result += [Cell(seed, i, "bn", k, b) for k in regime.bn for b in budgets]
    return result


def cell_config(cfg: SpeedupConfig, cell: Cell) -> SpeedupConfig:
    """The config of one cell's network."""
    own, regime = copy.deepcopy(cfg), cfg.regimes[cell.regime]
    own.model.norm = "batch" if cell.arm == "bn" else "none"
    own.model.init = regime.init
    own.optim.lr, own.optim.momentum = rate(cell.place), regime.momentum
    own.optim.replicas, own.optim.warm_start = regime.replicas, regime.warm_start
    own.budget.steps = cell.budget
    if regime.recipe == "paper" and cell.arm == "plain":
        for section, values in PAPER_RECIPE.items():
            for key, value in values.items():
                setattr(getattr(own, section), key, value)
    return own


def measure(cfg: SpeedupConfig, data: ImageSet, cell: Cell, device: torch.device) -> Iterator[Row]:
    """Rows `progress`, accuracy on the way, and a row of `cells`: how the network ended.

    It stops when its loss is not finite; a plain network also where a quarter of T leaves it at
    chance.
    """
    own, regime = cell_config(cfg, cell), cfg.regimes[cell.regime]
    trainer = ImageTrainer(own, cell.seed, data, device)
    key = {**describe(regime), "arm": cell.arm, "place": cell.place, "rate": own.optim.lr}
    key |= {"budget": cell.budget, "seed": cell.seed}
    chance = chance_accuracy(data, own.eval.test_examples)
    last, best = total_steps(own), 0.0
    quarter = max(1, last // 4)
    stops = sorted({quarter, *steps_of_grid(own.eval.grid, last)})
    for _ in trainer.run([in_updates(own, stop) for stop in stops]):
        if not trainer.active:
            break
        accuracy = float(trainer.evaluate(own.eval.test_examples)[0])
        best = max(best, accuracy)
        progress = {"step": trainer.paper_step, "accuracy": round(accuracy, 6)}
        yield {"part": "progress", **key, **progress}
        if cell.arm == "plain" and trainer.paper_step == quarter and best <= chance:
            break
    final = float(trainer.evaluate()[0]) if trainer.active else None
    outcome = describe_outcome(trainer.non_finite_step, final, chance_accuracy(data))
    ending = {"accuracy": final, "outcome": outcome, "step": trainer.paper_step}
    yield {"part": "cells", **key, **ending, "non_finite_step": trainer.non_finite_step}
