"""Section 3.2: networks with BN at different places, and the distributions that BN would meet.

A hidden layer has the input u and computes z = g(Wu + b). The arms, of three hidden layers:

    none            z = g(Wu + b)
    preactivation   z = g(BN(Wu)), the paper's
    hidden_input    z = g(W BN(u) + b) where u is another nonlinearity's output: not in the first
    after           z = BN(g(Wu + b)): BN on those u, and on the classifier's
    image           z = g(W BN(u) + b) in every hidden layer; the first one's u is the binary image,
                    some of whose pixels are the same in all images that statistics are taken of

Every arm starts from the same weights and sees the same mini-batches. Rows have a `part`:
`accuracy` (a network and stop), `shape` (a network, stop and layer), `density` (a bin, first seed,
last stop) and `reference` (what a Gaussian sample of that size would measure); those of
`convolution.py` are described there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.run.cells import Cell, run_cells
from bnrepro.run.values import finite
from bnrepro.seeding import stream
from bnrepro.training.distributions import Shape, density, distances, measure_shape
from bnrepro.training.slot_rows import by_slot, sweep_trainer
from bnrepro.training.slots import SlotTrainer
from experiments.placement import PlacementConfig
from experiments.placement.convolution import KINDS, conv_rows, exact_rows
from experiments.placement.transforms import HiddenInput

ARMS: dict[str, Callable[[float], Transform]] = {  # what normalises, made with ε
    "none": lambda eps: Transform(),
    "preactivation": BatchTransform,
    "hidden_input": HiddenInput,
    "after": partial(BatchTransform, place="after"),
    "image": partial(BatchTransform, place="input"),
}
LAST = 100  # steps over which a training loss is averaged


def run(cfg: PlacementConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg))


def cells(cfg: PlacementConfig) -> list[Cell]:
    """The identities, the convolutional networks, and every arm with each activation."""
    return [
        lambda cfg, data, device: [*exact_rows(cfg, data), *reference_rows(cfg)],
        *(partial(conv_rows, kind=kind) for kind in KINDS),
        *(partial(dense_rows, activation=a, arm=arm) for a in cfg.activations for arm in ARMS),
    ]


def dense_rows(
    cfg: PlacementConfig, data: Dataset, device: torch.device, activation: str, arm: str
) -> Iterator[Row]:
    """Train one arm at every rate and seed; accuracies, and distributions at `shape_lr`.

    The statistics of the first training images, passed as one batch, serve at test time.
    """
    trainer = new_trainer(cfg, data, device, activation, arm)
    losses: list[Tensor] = []
    shapes: dict[str, Shape] = {}
    for stop in cfg.stops:
        losses += trainer.run(range(trainer.step + 1, stop + 1))  # of every step
        trainer.net.freeze(trainer.x[: cfg.population_examples])
        found = [*accuracy_rows(trainer, losses[-LAST:]), *shape_rows(cfg, trainer, shapes)]
        if stop == cfg.stops[-1]:
            found += density_rows(cfg, shapes)
        key = {"activation": activation, "arm": arm, "step": stop}
        yield from (key | row for row in found)


def new_trainer(
    cfg: PlacementConfig, data: Dataset, device: torch.device, activation: str, arm: str
) -> SlotTrainer:
    """Networks of one arm, one for each rate and seed."""
    return sweep_trainer(cfg, data, device, ARMS[arm](cfg.eps), cfg.lr, activation=activation)


def accuracy_rows(trainer: SlotTrainer, losses: Sequence[Tensor]) -> Iterator[Row]:
    """Test accuracy at the present step, and the mean of the latest training losses."""
    accuracy, _ = trainer.accuracy("population")
    latest = torch.stack(list(losses)).mean(0) if losses else torch.full_like(accuracy, torch.nan)
    columns = {"accuracy": accuracy, "training_loss": latest}
    for slot, row in by_slot(trainer, columns, finite):
        yield {"part": "accuracy", "lr": slot.lr, "seed": slot.seed, **row}


def numbers(columns: Mapping[str, Tensor], i: int) -> Row:
    """The i-th number of each column; None where it is not finite."""
    return {name: finite(values[i]) for name, values in columns.items()}


def shape_rows(
    cfg: PlacementConfig, trainer: SlotTrainer, shapes: dict[str, Shape]
) -> Iterator[Row]:
    """Shapes of u and Wu + b of every slot at `shape_lr`; `shapes` keeps them for the next stop.

    The images pass as one mini-batch, in training form. The first layer's u is the image, not a
    nonlinearity's output, and is left out.
    """
    kept = [i for i, slot in enumerate(trainer.slots) if slot.lr == cfg.shape_lr]
    layers = trainer.net.forward(trainer.x[: cfg.probe_examples])[1]
    for name, layer in zip(trainer.net.hidden, layers, strict=True):
        for what, values in (("u", layer.u), ("x", layer.x)):
            if values.ndim == 2:  # the images, which all slots share
                continue
            shape = measure_shape(values[kept])
            columns = distances(shape, shapes.get(f"{name}.{what}"))
            shapes[f"{name}.{what}"] = shape
            for place, i in enumerate(kept):
                row = {"part": "shape", "layer": name, "what": what, "seed": trainer.slots[i].seed}
                yield row | numbers(columns, place)


def density_rows(cfg: PlacementConfig, shapes: Mapping[str, Shape]) -> Iterator[Row]:
    """Densities of the first seed's network, to be looked at; the claims use all seeds."""
    for key, shape in shapes.items():
        layer, what = key.split(".")
        named = {"part": "density", "layer": layer, "what": what, "seed": seed_list(cfg.seeds)[0]}
        yield from (named | row for row in density(shape, 0))


def reference_rows(cfg: PlacementConfig) -> Iterator[Row]:
    """The same measures of Gaussian samples as large as the probe: their smallest values."""
    for seed in seed_list(cfg.seeds):
        generator = stream(seed, "reference")
        sample = torch.randn(1, cfg.probe_examples, cfg.hidden[0], generator=generator)
        columns = distances(measure_shape(sample), None)
        yield {"part": "reference", "seed": seed} | numbers(columns, 0)
