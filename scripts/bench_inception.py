"""The Inception step against the network's width, beside the plain way of writing it; part of
`make bench`.

- `eager`: the network as Figure 5 draws it, branch by branch, in PyTorch's default layout (NCHW)
  and float32, a DataLoader over PIL images and torchvision's transforms, the usual eager loop;
- `eager, batches ready`: the same without the DataLoader;
- `here`: this project's trainer: images as bytes in memory, augmented in batches, channels_last.

On a processor at scale small, on a GPU at scale gpu (bfloat16, CUDA graphs). `share` is the step's
floating-point operations over those that a large matrix product makes in the time of `here`.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from bnrepro.config import compose
from bnrepro.config.images import ImageConfig
from bnrepro.data import Dataset
from bnrepro.machine import cores
from bnrepro.models.inception import LRN, ConvUnit, Inception, InceptionModule, ResponseNorm
from bnrepro.run.device import set_up_torch
from bnrepro.training.images import ImageTrainer, build, sgd
from scripts.bench_measure import forget_peak, medians, peak_mb
from scripts.plan import flops, made_up

ARMS = ("inception", "bn_x5")
SCALE = {"cpu": "small", "cuda": "gpu"}
WIDTHS = {"cpu": (0.125, 0.25, 0.5), "cuda": (0.5, 1.0, 2.0)}
STEPS, ROUNDS = {"cpu": 6, "cuda": 25}, 3
IMAGES = 2_000
SIDE = {"cpu": 2_048, "cuda": 8_192}  # of the ceiling's square matrices
NAMES = ("eager", "eager, batches ready", "here")
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


def inception_rows(device: torch.device, _: str | None) -> Iterator[dict[str, Any]]:
    """ms a step of 32 of each contestant, by arm and width."""
    for width in WIDTHS[device.type]:
        for arm in ARMS:
            yield from measure(inception(arm, device, f"model.width={width}"), device)


def inception(arm: str, device: torch.device, *overrides: str) -> ImageConfig:
    """An arm at the scale that suits the device."""
    scale = f"scale={SCALE[device.type]}"
    return compose("inception", [f"variant={arm}", scale, *overrides])


def measure(cfg: ImageConfig, device: torch.device) -> list[dict[str, Any]]:
    """A row a contestant."""
    set_up_torch(cfg)
    count = STEPS[device.type]
    forget_peak(device)
    each = medians(contestants(cfg, made_up(cfg, IMAGES), device, count), ROUNDS)
    ms = [1e3 * seconds / count * 32 / cfg.optim.batch for seconds in each]
    key = {"arm": cfg.variant, "width": cfg.model.width}
    rows: list[dict[str, Any]] = [
        {**key, "trainer": name, "ms": round(t, 2), "images_s": round(32e3 / t)}
        for name, t in zip(NAMES, ms, strict=True)
    ]
    share = flops(cfg) / (ms[-1] / 1e3) / ceiling(cfg.precision, device)
    rows[-1] |= {"share": round(share, 3), "mb": alone_mb(cfg, device)}
    return rows


def alone_mb(cfg: ImageConfig, device: torch.device) -> int | None:
    """Peak MB of some training steps of this project's trainer."""
    forget_peak(device)
    trainer = ImageTrainer(cfg, 0, made_up(cfg, IMAGES), device)
    next(trainer.run([STEPS[device.type]]))
    return peak_mb(device)


def contestants(
    cfg: ImageConfig, data: Dataset, device: torch.device, count: int
) -> list[Callable[[], object]]:
    """Callables that each train `count` steps."""
    trainer = ImageTrainer(cfg, 0, data, device)
    loader = DataLoader(
        Pictures(data, cfg), cfg.optim.batch, shuffle=True, num_workers=cores(),
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


@functools.cache
def ceiling(precision: str, device: torch.device) -> float:
    """Operations a second of a large matrix product, in the type that the step's products have."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    side = SIDE[device.type]
    a = torch.randn(side, side, device=device, dtype=kind)

    def products() -> float:
        for _ in range(4):
            b = a @ a
        return b[0, 0].item()

    return 4 * 2 * side**3 / medians([products], ROUNDS)[0]


def endless(loader: DataLoader) -> Iterator[Batch]:
    """The loader's batches, epoch after epoch."""
    while True:
        yield from loader
