"""The Inception training step against the plain way of writing it; part of `make bench`.

- `plain`: the network as Figure 5 draws it, branch by branch, in PyTorch's default layout (NCHW),
  a DataLoader with two workers over PIL images and torchvision's transforms, the usual eager loop;
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
from bnrepro.models.inception import LRN, ConvUnit, Inception, InceptionModule, ResponseNorm
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
    network = as_drawn(build(cfg, trainer.source, 0))
    optimiser = sgd(cfg, network)

    def run() -> None:
        for _ in range(STEPS):
            x, labels = batch()
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x), labels).backward()
            optimiser.step()

    return run


class DrawnModule(nn.Module):
    """A module with every branch on its own, with the weights of one of this project's."""

    def __init__(self, module: InceptionModule) -> None:
        super().__init__()
        self.entries = nn.ModuleList(shared_out(module.entry, module.shares))
        self.three, self.double_three, self.pool = module.three, module.double_three, module.pool
        self.average: nn.Module = nn.Identity()
        if isinstance(module.pool, ConvUnit) and module.pool.pool is not None:
            self.average, module.pool.pool = module.pool.pool, None  # pooled, then projected

    def forward(self, u: Tensor) -> Tensor:
        *direct, three, double = self.entries
        branches = [unit(u) for unit in direct] + [self.three(three(u))]
        branches += [self.double_three(double(u)), self.pool(self.average(u))]
        return torch.cat(branches, dim=1)


def shared_out(entry: ConvUnit, shares: list[int]) -> list[ConvUnit]:
    """Units that each make their share of a unit's feature maps."""
    units, start = [], 0
    for share in shares:
        maps = slice(start, start + share)
        state = {n: v[maps] if v.dim() else v for n, v in entry.state_dict().items()}
        unit = ConvUnit(entry.spec, entry.conv.in_channels, share, 1).to(entry.conv.weight.dtype)
        unit.load_state_dict(state)
        units.append(unit)
        start += share
    return units


def as_drawn(network: Inception) -> Inception:
    """The same function, written as Figure 5 draws it and with PyTorch's own LRN; in place."""
    for name, block in network.blocks.items():
        if isinstance(block, InceptionModule):
            network.blocks[name] = DrawnModule(block)
        if isinstance(block, ResponseNorm):
            network.blocks[name] = nn.LocalResponseNorm(*LRN)
    return network


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
