"""The Inception training step against the plain way of writing it; part of `make bench`.

- `plain`: the network as Figure 5 draws it, branch by branch, in PyTorch's default layout (NCHW)
  and float32, a DataLoader over PIL images and torchvision's transforms, the usual eager loop;
- `plain, batches ready`: the same without the DataLoader;
- `here`: this project's trainer: images as bytes in memory, augmented in batches, channels_last;
- `two side by side`: what `make inception` does on a processor, two arms at once, one thread each,
  in ms of the machine's time a step.

On a processor at scale small, on a GPU at scale gpu (bfloat16, CUDA graphs). `share of the ceiling`
is the step's floating-point operations over those that a large matrix product makes in the time of
`here`.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from joblib import Parallel, delayed
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from bnrepro.config import compose
from bnrepro.config.images import ImageConfig
from bnrepro.data import Dataset
from bnrepro.experiment import Table
from bnrepro.models.inception import LRN, ConvUnit, Inception, InceptionModule, ResponseNorm
from bnrepro.run.device import set_up_torch
from bnrepro.training.images import ImageTrainer, build, sgd
from scripts.plan import flops, made_up

STEPS, ROUNDS = {"cpu": 10, "cuda": 50}, 5
IMAGES = 2_000
SIDE = {"cpu": 2_048, "cuda": 8_192}  # of the ceiling's square matrices
MEASURES = (
    "plain", "plain, batches ready", "here", "two side by side", "plain / here",
    "plain / two side by side", "images a second here", "share of the ceiling here",
)  # fmt: skip
Batch = tuple[Tensor, Tensor]


class Pictures(TorchDataset[Batch]):
    """A data set as a user would have it: PIL images, distorted one by one."""

    def __init__(self, data: Dataset, cfg: ImageConfig) -> None:
        self.images = [v2.functional.to_pil_image(image) for image in data.train_images]
        self.labels = data.train_labels
        strength = cfg.pictures.photometric
        saturation = strength if self.images[0].mode == "RGB" else 0
        steps = (
            v2.RandomCrop(self.images[0].size, padding=cfg.pictures.shift),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(strength, strength, saturation),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5], [0.5]),
        )
        self.transform = v2.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.transform(self.images[index]), self.labels[index]


def inception_rows(device: torch.device) -> Table:
    """The MEASURES of two arms."""
    scale = "gpu" if device.type == "cuda" else "small"
    variants = ("inception", "bn_x5")
    configs = [compose("inception", [f"variant={v}", f"scale={scale}"]) for v in variants]
    columns = zip(MEASURES, *(measure(cfg, device) for cfg in configs), strict=True)
    return [[f"scale {scale}", *variants], *columns]


def measure(cfg: ImageConfig, device: torch.device) -> list[str]:
    """The MEASURES of an arm."""
    set_up_torch(cfg)
    count = STEPS[device.type]
    runs = contestants(cfg, made_up(cfg, IMAGES), device, count)
    plain, ready, here = (1e3 * t / count for t in medians(runs, ROUNDS))
    pair = together(cfg) if device.type == "cpu" else None
    share = flops(cfg) / (here / 1e3) / ceiling(cfg, device)
    return [
        *(f"{t:.1f}" for t in (plain, ready, here)),
        f"{pair:.1f}" if pair else "–",
        f"{plain / here:.2f}×",
        f"{plain / pair:.2f}×" if pair else "–",
        f"{1e3 * cfg.optim.batch / here:.0f}",
        f"{share:.0%}",
    ]


def contestants(
    cfg: ImageConfig, data: Dataset, device: torch.device, count: int
) -> list[Callable[[], object]]:
    """Callables that each train `count` steps."""
    trainer = ImageTrainer(cfg, 0, data, device)
    loader = DataLoader(
        Pictures(data, cfg), cfg.optim.batch, shuffle=True, num_workers=os.cpu_count() or 1,
        persistent_workers=True, drop_last=True, pin_memory=device.type == "cuda",
    )  # fmt: skip
    batches = endless(loader)
    ready = next(batches)
    networks = [as_drawn(build(cfg, trainer.source, 0)).to(device) for _ in range(2)]
    return [
        usual_loop(networks[0], sgd(cfg, networks[0]), lambda: next(batches), count),
        usual_loop(networks[1], sgd(cfg, networks[1]), lambda: ready, count),
        lambda: next(trainer.run([trainer.step + count])),
    ]


def usual_loop(
    network: nn.Module, optimiser: torch.optim.Optimizer, batch: Callable[[], Batch], count: int
) -> Callable[[], float]:
    """The training loop as a user would write it, for `count` steps."""
    device = next(network.parameters()).device

    def run() -> float:
        for _ in range(count):
            x, labels = (t.to(device) for t in batch())
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(x), labels)
            loss.backward()
            optimiser.step()
        return loss.item()

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


def together(cfg: ImageConfig) -> float:
    """ms of the machine's time a step while two arms train at once, one thread each."""
    rates = Parallel(n_jobs=2)(delayed(alone)(cfg) for _ in range(2))
    return 1e3 / sum(rates)


def alone(cfg: ImageConfig) -> float:
    """Steps a second on one thread; the median leaves out what one starts before the other."""
    set_up_torch(cfg)
    torch.set_num_threads(1)
    trainer = ImageTrainer(cfg, 0, made_up(cfg, IMAGES), torch.device("cpu"))
    count = STEPS["cpu"]
    (seconds,) = medians([lambda: next(trainer.run([trainer.step + count]))], 3 * ROUNDS)
    return count / seconds


def ceiling(cfg: ImageConfig, device: torch.device) -> float:
    """Operations a second of a large matrix product, in the type that the step's products have."""
    kind = torch.bfloat16 if cfg.precision == "bf16" else torch.float32
    side = SIDE[device.type]
    a = torch.randn(side, side, device=device, dtype=kind)

    def products() -> float:
        for _ in range(4):
            b = a @ a
        return b[0, 0].item()

    return 4 * 2 * side**3 / medians([products], ROUNDS)[0]


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
