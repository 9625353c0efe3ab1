"""The Inception training step against the plain way of writing it; part of `make bench`.

- `plain`: the same network in PyTorch's default layout (NCHW), a DataLoader with two workers over
  PIL images and torchvision's transforms, the usual eager loop;
- `plain, batches ready`: the same without the DataLoader;
- `here`: this project's trainer: images as bytes in memory, augmented in batches, channels_last.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from PIL import Image
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from bnrepro.app import set_up_torch
from bnrepro.config import compose
from bnrepro.data import Dataset
from bnrepro.data.synthetic import synthetic
from bnrepro.inception_config import InceptionConfig
from bnrepro.training.images import ImageTrainer, build, sgd

STEPS, ROUNDS = 10, 5
Batch = tuple[Tensor, Tensor]


class Pictures(TorchDataset[Batch]):
    """A data set as a user would have it: PIL images, distorted one by one."""

    def __init__(self, data: Dataset, cfg: InceptionConfig) -> None:
        self.images = [Image.fromarray(image.numpy()) for image in data.train_images]
        self.labels = data.train_labels
        strength = cfg.pictures.photometric
        self.transform = v2.Compose(
            [
                v2.RandomCrop(28, padding=cfg.pictures.shift),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=strength, contrast=strength),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5], [0.5]),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.transform(self.images[index]), self.labels[index]


def inception_table() -> Table:
    table = Table(title="Inception training step, scale small, ms a step of 32 (median of rounds)")
    for column in ("arm", "plain", "plain, batches ready", "here", "images/s here", "speed-up"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for variant in ("inception", "bn_x5"):
        cfg = compose("inception", [f"variant={variant}", "data=synthetic"])
        set_up_torch(cfg)
        seconds = medians(contestants(cfg, synthetic(2000, 100)), ROUNDS)
        times = [1e3 * t / STEPS for t in seconds]
        speed = f"{1e3 * cfg.optim.batch / times[2]:.0f}"
        ratio = f"{times[0] / times[2]:.2f}×"
        table.add_row(variant, *(f"{t:.0f}" for t in times), speed, ratio)
    return table


def contestants(cfg: InceptionConfig, data: Dataset) -> list[Callable[[], object]]:
    """Callables that each train STEPS steps."""
    trainer = ImageTrainer(cfg, 0, data, torch.device("cpu"))
    loader = DataLoader(
        Pictures(data, cfg), cfg.optim.batch, shuffle=True, num_workers=2, persistent_workers=True,
        drop_last=True,
    )  # fmt: skip
    batches = endless(loader)
    ready = next(batches)
    return [
        plain(cfg, trainer, lambda: next(batches)),
        plain(cfg, trainer, lambda: ready),
        lambda: next(trainer.run([trainer.step + STEPS])),
    ]


def plain(
    cfg: InceptionConfig, trainer: ImageTrainer, batch: Callable[[], Batch]
) -> Callable[[], None]:
    network = build(cfg, trainer.source, 0)
    optimiser = sgd(cfg, network)

    def run() -> None:
        for _ in range(STEPS):
            x, labels = batch()
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x), labels).backward()
            optimiser.step()

    return run


def medians(runs: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each, taking turns so that drift of the machine's speed hits all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(rounds):
        for run, seen in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            seen.append(time.perf_counter() - start)
    return [statistics.median(t) for t in times]


def endless(loader: DataLoader) -> Iterator[Batch]:
    while True:
        yield from loader
