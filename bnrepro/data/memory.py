"""Images that fit into memory: bytes on the training device, batched and augmented there."""

from collections.abc import Iterator

import torch
from torch import Tensor

from bnrepro.data.augment import Augmentation, augment, draw
from bnrepro.data.dataset import Dataset
from bnrepro.data.order import Order

CHUNK = 500  # test images a forward pass: bounds memory


class MemorySource:
    """A `Dataset` as an `ImageSource`."""

    def __init__(
        self, data: Dataset, order: Order, augmentation: Augmentation, device: torch.device
    ) -> None:
        self.order, self.augmentation, self.device = order, augmentation, device
        self.images, self.labels = _on(device, data.train_images), data.train_labels.to(device)
        self.test_images = _on(device, data.test_images)
        self.test_labels = data.test_labels.to(device)
        self.train_size, self.channels = order.size, self.images.shape[1]
        self.side = self.images.shape[-1]
        self.num_classes, self.broken = data.num_classes, set[str]()
        self._epoch, self._batches, self._draws = -1, torch.empty(0), draw(augmentation, 0, 0, 0)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The distorted images and the labels of the step's mini-batch."""
        epoch, place = self.order.place(step)
        if epoch != self._epoch:
            self._batches = self.order.batches(epoch).to(self.device)
            drawn = draw(self.augmentation, self.order.seed, epoch, self.train_size)
            self._draws, self._epoch = drawn.to(self.device), epoch
        index = self._batches[place]
        x = augment(scaled(self.images[index]), self._draws, index, self.augmentation)
        return x.contiguous(memory_format=torch.channels_last), self.labels[index]

    def test_batches(self, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` test images and their labels, in chunks, undistorted."""
        images, labels = self.test_images[:count], self.test_labels[:count]
        for x, y in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
            yield scaled(x), y

    whole_images = test_batches  # in memory no image is cut

    def probe_images(self, count: int) -> Tensor:
        """The first `count` training images, undistorted."""
        return scaled(self.images[:count])


def scaled(images: Tensor) -> Tensor:
    """Bytes to [0, 1]."""
    return images.float() / 255


def _on(device: torch.device, images: Tensor) -> Tensor:
    """uint8 images (N, C, H, W) on the device; grey ones get their channel."""
    return (images if images.dim() == 4 else images.unsqueeze(1)).to(device)
