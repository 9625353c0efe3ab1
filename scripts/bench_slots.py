"""The MNIST step against the number of slots, and what BN adds to it; parts of `make bench`.

- `here`: this project's trainer, all slots at once, sampling of mini-batches included;
- `eager`: torch.nn modules, autograd, torch.optim.SGD and a shuffling DataLoader, a seed at a time;
- `eager, batches ready`: the same without the DataLoader;
- `products`: only the matrix products of a training step, batched over the slots, of dense images;
  on a CPU the trainer adds the rows of W where an image is lit instead (models/lit.py): 22 % of the
  pixels here, 13 % of MNIST's;
- `JAX`: scripts/bench_jax.py, where JAX is installed.
"""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bnrepro import ROOT
from bnrepro.config import compose
from bnrepro.data import Dataset, binarize
from bnrepro.data.synthetic import synthetic
from bnrepro.models.mlp import Slot
from bnrepro.run.device import set_up_torch
from bnrepro.training.slots import SlotTrainer
from experiments.mnist import MnistConfig
from scripts.bench_inception import endless, usual_loop
from scripts.bench_measure import forget_peak, medians, peak_mb

Row = dict[str, Any]
ARMS = ("baseline", "bn")
SLOTS = (1, 2, 5, 10, 20, 40, 64)
JAX_SLOTS = (1, 5, 20, 64)
WIDTHS, BATCHES = (25, 50, 100, 200, 400), (15, 30, 60, 120, 240, 480)
SEED_STEPS = {"cpu": 500, "cuda": 250}  # of a round
LEAST, ROUNDS = {"cpu": 10, "cuda": 25}, 5  # steps of a round
IMAGES = 60_000


def slot_rows(device: torch.device, jax: str | None) -> Iterator[Row]:
    """µs a seed-step of each contestant, by arm and number of slots."""
    data = synthetic(IMAGES, 1_000)
    for arm in ARMS:
        cfg = compose("mnist", [f"variant={arm}", "data=synthetic"])
        set_up_torch(cfg)
        for slots in SLOTS:
            yield from slot_point(cfg, data, slots, device)
        yield from eager_point(cfg, data, device)
    if jax:
        yield from jax_rows(jax, device)


def slot_point(cfg: MnistConfig, data: Dataset, slots: int, device: torch.device) -> list[Row]:
    """The trainer and its matrix products alone, with so many slots."""
    count = steps(slots, device)
    forget_peak(device)
    train = training(cfg, data, slots, device, count)
    here, multiply = medians([train, products(cfg, slots, device, count)], ROUNDS)
    key = {"arm": cfg.variant, "slots": slots}
    return [
        {**key, "trainer": "here", "us": micro(here, count * slots), "mb": peak_mb(device)},
        {**key, "trainer": "products", "us": micro(multiply, count * slots)},
    ]


def eager_point(cfg: MnistConfig, data: Dataset, device: torch.device) -> list[Row]:
    """The usual loop, with a DataLoader and without."""
    count = steps(1, device) // 2
    forget_peak(device)
    each = medians(eager_loops(cfg, data, device, count), ROUNDS)
    names = ("eager", "eager, batches ready")
    key, mb = {"arm": cfg.variant, "slots": 1}, peak_mb(device)
    return [
        {**key, "trainer": name, "us": micro(t, count), "mb": mb}
        for name, t in zip(names, each, strict=True)
    ]


def bn_rows(device: torch.device, _: str | None) -> Iterator[Row]:
    """µs a seed-step without and with BN, five slots, against width and mini-batch."""
    data = synthetic(12_000, 1_000)
    for width, batch in [*((w, 60) for w in WIDTHS), *((100, m) for m in BATCHES if m != 60)]:
        hidden = f"model.hidden=[{width},{width},{width}]"
        shape = ["data=synthetic", hidden, f"optim.batch={batch}"]
        cfgs = [compose("mnist", [f"variant={arm}", *shape]) for arm in ARMS]
        set_up_torch(cfgs[0])
        count = max(2, steps(5, device) * 60 * 100 // (batch * max(width, 100)))
        runs = [training(cfg, data, 5, device, count) for cfg in cfgs]
        plain, bn = (micro(t, count * 5) for t in medians(runs, ROUNDS))
        yield {"width": width, "batch": batch, "without": plain, "with": bn}


def steps(slots: int, device: torch.device) -> int:
    """Training steps of a round."""
    return max(LEAST[device.type], SEED_STEPS[device.type] // slots)


def micro(seconds: float, seed_steps: int) -> float:
    """µs a seed-step."""
    return round(seconds / seed_steps * 1e6, 1)


def training(
    cfg: MnistConfig, data: Dataset, slots: int, device: torch.device, count: int
) -> Callable[[], object]:
    """Trains so many slots for `count` steps."""
    each = [Slot(seed, cfg.optim.lr, cfg.model.init_std) for seed in range(slots)]
    trainer = SlotTrainer(cfg.model, cfg.optim, each, data, device)
    return lambda: next(trainer.run([trainer.step + count]))


def eager_loops(
    cfg: MnistConfig, data: Dataset, device: torch.device, count: int
) -> list[Callable[[], object]]:
    """One network trained for `count` steps as a user would write it, and without the loader."""
    x, labels = binarize(data.train_images), data.train_labels
    loader = endless(DataLoader(TensorDataset(x, labels), cfg.optim.batch, shuffle=True))
    ready = (x[: cfg.optim.batch].to(device), labels[: cfg.optim.batch].to(device))
    loops: list[Callable[[], object]] = []
    for batch in (lambda: next(loader), lambda: ready):
        network = eager(cfg).to(device)
        sgd = torch.optim.SGD(network.parameters(), lr=cfg.optim.lr)
        loops.append(usual_loop(network, sgd, batch, count))
    return loops


def eager(cfg: MnistConfig) -> nn.Module:
    """The network of 4.1 as torch's own modules."""
    layers: list[nn.Module] = []
    plain = cfg.model.norm == "none"
    for width, units in itertools.pairwise([784, *cfg.model.hidden]):
        layers += [nn.Linear(width, units, bias=plain)]
        layers += [nn.Sigmoid()] if plain else [nn.BatchNorm1d(units), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(cfg.model.hidden[-1], 10))


def products(cfg: MnistConfig, slots: int, device: torch.device, count: int) -> Callable[[], None]:
    """The matrix products of `count` training steps, forward and backward."""
    widths = [784, *cfg.model.hidden, 10]
    weights = [torch.randn(slots, a, b, device=device) for a, b in itertools.pairwise(widths)]
    values = [torch.rand(slots, cfg.optim.batch, w, device=device) for w in widths]

    def run() -> None:
        for _ in range(count):
            for u, weight in zip(values, weights, strict=False):
                torch.bmm(u, weight)
            for i in reversed(range(len(weights))):
                torch.bmm(values[i].mT, values[i + 1])
                if i:
                    torch.bmm(values[i + 1], weights[i].mT)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def jax_rows(python: str, device: torch.device) -> Iterator[Row]:
    """The rows that another process, perhaps of another environment, measures with JAX."""
    script = ROOT / "scripts" / "bench_jax.py"
    work = [f"{slots}:{steps(slots, device)}" for slots in JAX_SLOTS]
    command = [python, str(script), device.type, *work]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode:
        print(f"JAX left out: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    yield from (json.loads(line) for line in done.stdout.splitlines())
