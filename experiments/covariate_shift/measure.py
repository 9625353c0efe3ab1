"""Networks of Figure 1 in training, and how far the inputs of their layers move.

The arms, each at every rate and with every seed; all start from the same weights and see the same
mini-batches:

    baseline   z = g(Wu + b)
    bn         z = g(BN(Wu))
    bn_noise   z = g(s BN(Wu) + m), s and m drawn anew at every step; an arm for each strength κ

Every hidden layer but the first has layers below. Rows have a `part`:

    accuracy   a network and stop: test accuracy, and mean cross-entropy on fixed training images
    drift      a network, layer, start and lag, of u (the layer's input) and of a (what the
               nonlinearity gets): how far the distributions over fixed training images moved
    gradient   a network, layer and start: how far ∂ℓ/∂W moves when the layers below are updated
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import cross_entropy
from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.run.cells import run_cells
from bnrepro.run.values import finite
from bnrepro.training.distributions import Shape, drift, measure_shape
from bnrepro.training.slot_rows import by_slot, sweep_trainer
from bnrepro.training.slots import SlotTrainer
from experiments.covariate_shift import CovariateShiftConfig
from experiments.covariate_shift.gradients import changes_below
from experiments.covariate_shift.transforms import NoisyBatchTransform

DIGITS = 5  # of a recorded number
Columns = dict[str, Tensor]  # a number a slot


@dataclass(frozen=True)
class Cell:
    """Networks of one activation and arm, all rates and seeds together."""

    activation: str
    arm: str  # baseline | bn | bn_noise
    noise: float = 0.0  # κ


def run(cfg: CovariateShiftConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg), measure)


def cells(cfg: CovariateShiftConfig) -> list[Cell]:
    """Every arm with each activation."""
    arms = [("baseline", 0.0), ("bn", 0.0), *(("bn_noise", noise) for noise in cfg.noise)]
    return [Cell(activation, *arm) for activation in cfg.activations for arm in arms]


def measure(
    cfg: CovariateShiftConfig, data: Dataset, cell: Cell, device: torch.device
) -> Iterator[Row]:
    """Train one arm at every rate and seed, and look at it on the way."""
    trainer = new_trainer(cfg, data, cell, device)
    shifts, gradients = Shifts(cfg), Gradients(cfg)
    steps = sorted({*cfg.stops, *shifts.steps, *gradients.steps})
    for step in steps:
        list(trainer.run([step]))
        found = list(accuracy_rows(cfg, trainer, step)) if step in cfg.stops else []
        if step in shifts.steps:
            found += shifts.rows(trainer, step)
        if step in gradients.steps:
            found += gradients.rows(trainer, step)
        key = {"activation": cell.activation, "arm": cell.arm, "noise": cell.noise}
        yield from (key | row for row in found)


def new_trainer(
    cfg: CovariateShiftConfig, data: Dataset, cell: Cell, device: torch.device
) -> SlotTrainer:
    """Networks of one arm, one for each rate and seed."""
    rates, seeds = cfg.lr[cell.activation], seed_list(cfg.seeds)
    transforms = {
        "baseline": Transform(),
        "bn": BatchTransform(cfg.eps),
        "bn_noise": NoisyBatchTransform(cfg.eps, cell.noise, seeds * len(rates)),
    }
    transform = transforms[cell.arm]
    return sweep_trainer(cfg, data, device, transform, rates, activation=cell.activation)


def slot_rows(trainer: SlotTrainer, key: Row, columns: Columns) -> Iterator[Row]:
    """A row a network with its number of each column; None once the network has diverged."""
    for i, (slot, numbers) in enumerate(by_slot(trainer, columns, rounded)):
        found = numbers if i in trainer.active else dict.fromkeys(columns)
        yield key | {"lr": slot.lr, "seed": slot.seed} | found


def rounded(value: Tensor | float) -> float | None:
    """A number as it is recorded."""
    number = finite(value)
    return None if number is None else float(f"{number:.{DIGITS}g}")


@torch.no_grad()
def accuracy_rows(cfg: CovariateShiftConfig, trainer: SlotTrainer, step: int) -> Iterator[Row]:
    """Test accuracy, and the loss on the first training images, whose statistics serve for both.

    Noise is left out of all of it.
    """
    net, x = trainer.net, trainer.x[: cfg.population_examples]
    net.freeze(x)
    labels = trainer.labels[: cfg.population_examples].expand(len(trainer.slots), -1)
    loss, _ = cross_entropy(net.forward(x, "population")[0], labels)
    columns = {"accuracy": trainer.accuracy("population")[0], "training_loss": loss}
    yield from slot_rows(trainer, {"part": "accuracy", "step": step}, columns)


class Shifts:
    """The distributions at every start, and how far they have moved a lag later."""

    def __init__(self, cfg: CovariateShiftConfig) -> None:
        self.cfg = cfg
        self.lags = {(start + lag, lag) for start in cfg.starts for lag in cfg.lags}
        self.steps = {*cfg.starts, *(step for step, _ in self.lags)}
        self.before: dict[tuple[int, str, str], Shape] = {}  # by start, layer and what

    def rows(self, trainer: SlotTrainer, step: int) -> Iterator[Row]:
        """Drifts from every start that lies a lag before this step.

        The images pass as one mini-batch, in training form.
        """
        for (layer, what), shape in shapes(trainer, self.cfg.probe_examples).items():
            for lag in sorted(lag for at, lag in self.lags if at == step):
                columns = drift(shape, self.before[step - lag, layer, what])
                key = {"part": "drift", "layer": layer, "what": what}
                yield from slot_rows(trainer, key | {"start": step - lag, "lag": lag}, columns)
            if step in self.cfg.starts:
                self.before[step, layer, what] = shape


@torch.no_grad()
def shapes(trainer: SlotTrainer, examples: int) -> dict[tuple[str, str], Shape]:
    """Distributions of u and a of every layer that has layers below, on the first images."""
    net = trainer.net
    layers = net.forward(trainer.x[:examples])[1]
    each = list(zip(net.hidden, layers, strict=True))[1:]
    return {
        (name, what): measure_shape(values)
        for name, layer in each
        for what, values in (("u", layer.u), ("a", layer.a))
    }


class Gradients:
    """The change of gradients by the layers below, averaged over the steps from every start on."""

    def __init__(self, cfg: CovariateShiftConfig) -> None:
        self.count = cfg.gradient_steps
        self.start = {start + i: start for start in cfg.starts for i in range(self.count)}
        self.steps = set(self.start)
        self.found: dict[tuple[int, str, str], list[Tensor]] = defaultdict(list)

    def rows(self, trainer: SlotTrainer, step: int) -> Iterator[Row]:
        """Train one step and compare; at the last of a start's steps their means."""
        start = self.start[step]
        for layer, columns in changes_below(trainer).items():
            for name, values in columns.items():
                self.found[start, layer, name].append(values)
            if step == start + self.count - 1:
                each = {name: torch.stack(self.found[start, layer, name]) for name in columns}
                means = {name: values.mean(0) for name, values in each.items()}
                key = {"part": "gradient", "layer": layer, "start": start}
                yield from slot_rows(trainer, key, means)
