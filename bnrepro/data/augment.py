"""Augmentation of whole batches on the training device: shift, mirror, photometric distortion.

What happens to an example depends on seed, epoch and the example's number alone, not on its
batch-mates or on the arm, so all arms of a seed see the same pictures.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from bnrepro.seeding import stream

LUMA = (0.299, 0.587, 0.114)  # the eye's weights of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True)
class Augmentation:
    """Strengths; zero (or False) switches a part off."""

    shift: int = 0  # pixels, either way in both directions; the border is filled with zeros
    mirror: bool = False  # left and right, half of the time
    photometric: float = 0.0  # brightness ± this share of the range, contrast × (1 ± it); in
    # colour also saturation × (1 ± it)


class Draws(NamedTuple):
    """One epoch's random numbers, a row an example."""

    offsets: Tensor  # (N, 2), from 0 to 2·shift
    mirrored: Tensor  # (N,), bool
    brightness: Tensor  # (N,), in [−1, 1]
    contrast: Tensor  # (N,), in [−1, 1]
    saturation: Tensor  # (N,), in [−1, 1]

    def to(self, device: torch.device) -> "Draws":
        """The same numbers on a device."""
        return Draws(*(each.to(device) for each in self))


def draw(augmentation: Augmentation, seed: int, epoch: int, size: int) -> Draws:
    """Every part always draws its numbers: switching one off leaves the others as they were."""
    generator = stream(seed, "augmentation", epoch)
    offsets = torch.rand(size, 2, generator=generator) * (2 * augmentation.shift + 1)
    mirrored = torch.rand(size, generator=generator) < 0.5
    brightness, contrast = (2 * torch.rand(2, size, generator=generator) - 1).unbind()
    saturation = 2 * torch.rand(size, generator=generator) - 1
    mirrored = mirrored & augmentation.mirror
    return Draws(offsets.long(), mirrored, brightness, contrast, saturation)


def augment(images: Tensor, draws: Draws, index: Tensor, augmentation: Augmentation) -> Tensor:
    """Distort images in [0, 1], (B, C, H, W), whose numbers in the data set are `index` (B,)."""
    if augmentation.shift:
        images = _shifted(images, draws.offsets[index], augmentation.shift)
    if augmentation.mirror:
        images = torch.where(draws.mirrored[index, None, None, None], images.flip(-1), images)
    if augmentation.photometric:
        images = _photometric(images, draws, index, augmentation.photometric)
    return images


def _photometric(images: Tensor, draws: Draws, index: Tensor, strength: float) -> Tensor:
    if images.shape[1] == 3:
        saturation = strength * draws.saturation[index, None, None, None]
        grey = sum(weight * images[:, c : c + 1] for c, weight in enumerate(LUMA))
        images = grey + (images - grey) * (1 + saturation)
    brightness, contrast = (
        strength * d[index, None, None, None] for d in (draws.brightness, draws.contrast)
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((images - mean) * (1 + contrast) + mean + brightness).clamp(0, 1)


def _shifted(images: Tensor, offsets: Tensor, shift: int) -> Tensor:
    """Crops, as large as the images, out of the zero-padded images, an offset each."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (shift,) * 4)
    rows = offsets[:, :1] + torch.arange(height, device=images.device)
    columns = offsets[:, 1:] + torch.arange(width, device=images.device)
    number = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[number, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
