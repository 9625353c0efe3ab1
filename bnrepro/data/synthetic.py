"""A made-up set of digit-like images for tests and benchmarks: no network, ready in milliseconds.

The paper does not use it; no claim is ever judged on it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from bnrepro.data.dataset import Dataset
from bnrepro.seeding import stream

CLASSES, SIDE = 10, 28
INK = 0.6  # a prototype's pixels above this many standard deviations are drawn


def synthetic(train: int = 1200, test: int = 400, seed: int = 0, noise: float = 0.5) -> Dataset:
    """Ten smooth random shapes, each image a shifted, noisy copy of its class's shape.

    `noise` is the standard deviation added to grey values between 0 and 1. The default flips a
    sixth of the binarised pixels: a small network gets about 95 % right, which leaves room for one
    arm to be better than the other.
    """
    shapes = _prototypes(stream(seed, "synthetic", "shapes"))
    trained_on = _draw(shapes, train, noise, stream(seed, "synthetic", "train"))
    tested_on = _draw(shapes, test, noise, stream(seed, "synthetic", "test"))
    source = f"generated with seed {seed}"
    return Dataset("synthetic", source, *trained_on, *tested_on, num_classes=CLASSES)


def _prototypes(generator: torch.Generator) -> Tensor:
    """Low-resolution noise, enlarged smoothly and cut at a level: blobs about a stroke wide."""
    coarse = torch.randn(CLASSES, 1, 6, 6, generator=generator)
    smooth = F.interpolate(coarse, size=(SIDE - 8, SIDE - 8), mode="bicubic", align_corners=True)
    return F.pad((smooth.squeeze(1) > INK).float(), (4, 4, 4, 4))  # the margin leaves room to shift


def _draw(
    shapes: Tensor, count: int, noise: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`count` images, the classes as equal in number as can be and in random order."""
    labels = (torch.arange(count) % CLASSES)[torch.randperm(count, generator=generator)]
    shift = torch.randint(-2, 3, (2, count, 1), generator=generator)
    rows, columns = (torch.arange(SIDE) + shift) % SIDE  # each (count, SIDE)
    images = shapes[labels[:, None, None], rows[:, :, None], columns[:, None, :]]
    images = images + noise * torch.randn(images.shape, generator=generator)
    return (255 * images.clamp(0, 1)).round().to(torch.uint8), labels
