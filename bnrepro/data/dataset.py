"""What a run needs to know of any image set; the sets held in memory, and what is done to those."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from bnrepro.errors import UserError
from bnrepro.seeding import stream


class ImageSet(ABC):
    """What a run needs to know of its data, wherever the images are.

    `source` says in words who served the set and never holds a path, so that two machines with
    the same data write the same record. `evaluated_on` is "validation" when the `test_*` part was
    held out of the training set for tuning, so that such a run cannot pass for a reported one.
    """

    name: str
    source: str
    train_labels: Tensor  # int64 (N,)
    test_labels: Tensor
    num_classes: int
    evaluated_on: str
    class_names: tuple[str, ...]  # (): the classes are numbers

    def names(self) -> list[str]:
        """The names of the classes, in the order of the labels."""
        return list(self.class_names or map(str, range(self.num_classes)))

    @cached_property
    @abstractmethod
    def checksum(self) -> str:
        """Identifies the contents."""

    def identity(self) -> dict[str, object]:
        """What a run record keeps about its data."""
        return {
            "name": self.name,
            "source": self.source,
            "sizes": {"train": len(self.train_labels), self.evaluated_on: len(self.test_labels)},
            "num_classes": self.num_classes,
            "checksum": self.checksum,
        }


@dataclass(frozen=True, eq=False)
class Dataset(ImageSet):
    """Images as bytes, ready to be moved to the training device once and batched there."""

    name: str
    source: str
    train_images: Tensor  # uint8, (N, H, W) grey or (N, C, H, W)
    train_labels: Tensor  # int64 (N,)
    test_images: Tensor
    test_labels: Tensor
    num_classes: int = 10
    evaluated_on: str = "test"
    class_names: tuple[str, ...] = ()

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Training images and labels, then the images and labels evaluated on."""
        return self.train_images, self.train_labels, self.test_images, self.test_labels

    @cached_property
    def checksum(self) -> str:
        """Identifies the contents alone: the same images and labels give the same 16 digits."""
        digest = hashlib.sha256()
        for part in self.tensors():
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            digest.update(part.reshape(-1).numpy().data)
        return digest.hexdigest()[:16]


def split_validation(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """Hold `count` training images out and evaluate on them: tuning never sees the test set.

    The split depends on `seed` alone, which is not the run's seed: all runs of a grid and all its
    seeds are compared on the same images. Both parts keep the order of the training set.

    Raises UserError unless both parts get at least one image.
    """
    kept, held_out = hold_out(dataset, count, seed)
    return replace(
        dataset,
        train_images=dataset.train_images[kept],
        train_labels=dataset.train_labels[kept],
        test_images=dataset.train_images[held_out],
        test_labels=dataset.train_labels[held_out],
        evaluated_on="validation",
    )


def hold_out(data: ImageSet, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The numbers of the training images that `split_validation` keeps and holds out, rising."""
    total = len(data.train_labels)
    if not 0 < count < total:
        raise UserError(
            f"cannot hold {count} of {data.name}'s {total} training images out for validation;"
            f" choose a number from 1 to {total - 1}"
        )
    order = torch.randperm(total, generator=stream(seed, "validation"))
    return order[count:].sort().values, order[:count].sort().values


def binarize(images: Tensor, threshold: float = 0.5) -> Tensor:
    """The paper's "28x28 binary image" as a float32 row per image: 1 where pixel / 255 > threshold.

    Section 4.1 does not name the threshold; half of the grey range is our assumption.
    """
    return (images.flatten(1) > 255 * threshold).float()
