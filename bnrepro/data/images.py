"""Where a training loop's images come from: the one thing a loop knows about its data.

    source = open_source(data, cfg.pictures, cfg.optim.batch, seed, device)
    x, labels = source.batch(step)          # any step, in any order: batches are keyed by seed

Images are float32 in [0, 1], (B, C, H, W), channels_last, on the training device.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from bnrepro.config.images import PictureConfig
from bnrepro.data.augment import Augmentation
from bnrepro.data.dataset import Dataset, ImageSet
from bnrepro.data.folders import FolderSet
from bnrepro.data.memory import MemorySource
from bnrepro.data.order import Order
from bnrepro.errors import UserError


class ImageSource(Protocol):
    """One seed's mini-batches of a data set, and its test images."""

    train_size: int
    num_classes: int
    channels: int
    side: int  # pixels of the images that the network sees
    broken: set[str]  # names of the files that could not be read

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The distorted images and the labels of the step's mini-batch."""
        ...

    def test_batches(self, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` test images (None: all) and their labels, in chunks, undistorted."""
        ...

    def whole_images(self, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` test images as they are, uncut, and their labels, in groups of one
        size."""
        ...

    def probe_images(self, count: int) -> Tensor:
        """The first `count` training images, undistorted."""
        ...


def open_source(
    data: ImageSet,
    pictures: PictureConfig,
    batch: int,
    seed: int,
    device: torch.device,
    part: int = 0,
    parts: int = 1,
) -> ImageSource:
    """The images of a data set, shuffled and distorted as configured.

    `batch` counts the examples of this `part` of every mini-batch, of `parts` that processes share.
    Raises a UserError for a shift of a whole image, of streamed ones too, which are cropped.
    """
    assert isinstance(data, Dataset | FolderSet)
    side = data.train_images.shape[-1] if isinstance(data, Dataset) else data.size
    if pictures.shift >= side:
        raise UserError(
            f"pictures.shift={pictures.shift}: the images of {data.name} have {side} pixels a side;"
            " nothing of them would be left"
        )
    augmentation = Augmentation(pictures.shift, pictures.mirror, pictures.photometric)
    size = pictures.examples or len(data.train_labels)
    order = Order(pictures.shuffle, seed, size, batch, pictures.shards, part, parts)
    if isinstance(data, FolderSet):
        from bnrepro.data.streaming import StreamSource  # imports torchvision, which takes seconds

        return StreamSource(data, order, augmentation, device)
    return MemorySource(data, order, augmentation, device)
