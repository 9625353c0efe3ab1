"""How fast are the trainers? Compared in one run, on this machine, with what a user would write.

    make bench

For each arm, microseconds per seed-step, the variants taking turns so that drift of the machine's
speed hits all of them alike; the median over rounds is printed.

- `eager`: torch.nn modules, autograd, torch.optim.SGD and a shuffling DataLoader, a seed at a time;
- `eager, batches ready`: the same without the DataLoader;
- `slots`: this project's trainer, all seeds at once, sampling of mini-batches included;
- `products`: only the matrix products of a training step, batched over the seeds.

Then the Inception step (scripts/bench_inception.py) and images from files (scripts/bench_data.py).
"""

import itertools
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bnrepro.cli import guard, no_arguments
from bnrepro.config import compose
from bnrepro.data import Dataset, binarize
from bnrepro.data.synthetic import synthetic
from bnrepro.models.mlp import Slot
from bnrepro.plots.tables import show
from bnrepro.run.device import set_up_torch
from bnrepro.run.provenance import hardware
from bnrepro.training.slots import SlotTrainer
from experiments.mnist import MnistConfig
from scripts.bench_data import data_rows
from scripts.bench_inception import endless, inception_rows, medians, usual_loop

SEEDS, STEPS, ROUNDS = 5, 200, 7


def main() -> None:
    """Measure and show all tables."""
    no_arguments()
    rows = [["arm", "eager", "eager, batches ready", "slots", "products", "speed-up"]]
    for variant in ("baseline", "bn"):
        cfg = compose("mnist", [f"variant={variant}", "data=synthetic"])
        device = set_up_torch(cfg)
        times = measure(contestants(cfg, synthetic(12_000, 1_000)))
        rows.append([variant, *(f"{t:.0f}" for t in times), f"{times[0] / times[2]:.2f}×"])
    show(rows, "MNIST training step, µs per seed-step (median of rounds)")
    show(inception_rows(device), "Inception training step, ms a step of 32 (medians)")
    show(data_rows(), "JPEG files of 500×375, crops of 224")
    print(f"{hardware(device)}, {torch.get_num_threads()} threads, {SEEDS} seeds")


def contestants(cfg: MnistConfig, data: Dataset) -> list[Callable[[], object]]:
    """Callables that each train (or multiply) for STEPS steps, scaled to one seed by `measure`."""
    x, labels = binarize(data.train_images), data.train_labels
    loader = endless(DataLoader(TensorDataset(x, labels), cfg.optim.batch, shuffle=True))
    ready = (x[: cfg.optim.batch], labels[: cfg.optim.batch])
    slots = [Slot(seed, cfg.optim.lr, cfg.model.init_std) for seed in range(SEEDS)]
    trainer = SlotTrainer(cfg.model, cfg.optim, slots, data, torch.device("cpu"))
    networks = [eager(cfg) for _ in range(2)]
    rates = [torch.optim.SGD(network.parameters(), lr=cfg.optim.lr) for network in networks]
    return [
        usual_loop(networks[0], rates[0], lambda: next(loader), STEPS),
        usual_loop(networks[1], rates[1], lambda: ready, STEPS),
        lambda: next(trainer.run([trainer.step + STEPS])),
        products(cfg),
    ]


def measure(runs: list[Callable[[], object]]) -> list[float]:
    """Median µs per seed-step; the first two train one seed, the others SEEDS of them."""
    seeds = [1, 1, SEEDS, SEEDS]
    return [t / STEPS / n * 1e6 for t, n in zip(medians(runs, ROUNDS), seeds, strict=True)]


def eager(cfg: MnistConfig) -> nn.Module:
    """The network of 4.1 as torch's own modules."""
    layers: list[nn.Module] = []
    plain = cfg.model.norm == "none"
    for width, units in itertools.pairwise([784, *cfg.model.hidden]):
        layers += [nn.Linear(width, units, bias=plain)]
        layers += [nn.Sigmoid()] if plain else [nn.BatchNorm1d(units), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(cfg.model.hidden[-1], 10))


def products(cfg: MnistConfig) -> Callable[[], None]:
    """The matrix products of one training step of SEEDS networks, forward and backward."""
    widths = [784, *cfg.model.hidden, 10]
    weights = [torch.randn(SEEDS, a, b) for a, b in itertools.pairwise(widths)]
    values = [torch.rand(SEEDS, cfg.optim.batch, w) for w in widths]

    def run() -> None:
        for _ in range(STEPS):
            for u, weight in zip(values, weights, strict=False):
                torch.bmm(u, weight)
            for i in reversed(range(len(weights))):
                torch.bmm(values[i].mT, values[i + 1])
                if i:
                    torch.bmm(values[i + 1], weights[i].mT)

    return run


if __name__ == "__main__":
    guard(main)
