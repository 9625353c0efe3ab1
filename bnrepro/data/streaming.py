"""Images that do not fit into memory: read, decoded and cropped by worker processes.

What a step shows depends on the seed and the step alone: the numbers behind an example's crop,
mirroring and distortion are keyed by seed, epoch and example, so neither the number of workers nor
a resumed run changes a picture. Workers send bytes; mirroring and the photometric distortion happen
in batches on the training device, as for sets in memory.

An image that cannot be read in training is named, counted and replaced by the next one of the
stored order; one of the test set is left out. Above `data.max_broken` of all images the run stops.
"""

import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from bnrepro.data.augment import Augmentation, augment, draw
from bnrepro.data.decoding import Unreadable, centre, decode
from bnrepro.data.folders import Files, FolderSet
from bnrepro.data.memory import scaled
from bnrepro.data.order import Order
from bnrepro.errors import UserError
from bnrepro.machine import cores
from bnrepro.seeding import stream

log = logging.getLogger(__name__)

AREA = (0.08, 1.0)  # share of the image that a training crop covers: GoogLeNet's
SHORTER = 256 / 224  # of the shorter side to the central crop, for test images
CHUNK = 100  # test images a forward pass
MOST_WORKERS = 16


class Read(NamedTuple):
    """What a worker makes of its list of examples."""

    pixels: Tensor  # uint8 (B, 3, size, size)
    labels: Tensor  # (B,)
    numbers: Tensor  # (B,), of the examples in the stored order
    broken: dict[str, str]  # names of unreadable files, and why


def unread(broken: dict[str, str]) -> Read:
    """No example, and which files are to blame."""
    none = torch.empty(0, dtype=torch.int64)
    return Read(none, none, none, broken)


class StreamSource:
    """A `FolderSet` as an `ImageSource`."""

    channels = 3

    def __init__(
        self, data: FolderSet, order: Order, augmentation: Augmentation, device: torch.device
    ) -> None:
        self.data, self.order, self.device = data, order, device
        self.augmentation = replace(augmentation, shift=0)  # the random crop replaces it
        self.train_size, self.num_classes = len(data.train), data.num_classes
        self.side = data.size
        self.broken: set[str] = set()
        self.waited = 0.0  # seconds that training has waited for batches
        self._batches: Iterator[Read] = iter(())
        self._next, self._epoch, self._draws = -1, -1, draw(augmentation, 0, 0, 0)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The distorted images and the labels of the step's mini-batch."""
        start = time.perf_counter()
        if step != self._next:
            examples = TrainingExamples(self.data, self.order.seed)
            self._batches = self._loader(examples, Steps(self.order, step))
        read = next(self._batches)
        self._next = step + 1
        self.waited += time.perf_counter() - start
        self._note(read.broken)
        epoch, _ = self.order.place(step)
        if epoch != self._epoch:
            drawn = draw(self.augmentation, self.order.seed, epoch, self.train_size)
            self._draws, self._epoch = drawn.to(self.device), epoch
        x, labels, numbers = self._placed(read)
        x = augment(x, self._draws, numbers, self.augmentation)
        return x.contiguous(memory_format=torch.channels_last), labels

    def test_batches(self, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` test images that can be read and their labels, in chunks."""
        return self._undistorted(PlainExamples(self.data, self.data.test), count, CHUNK)

    def whole_images(self, count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` test images that can be read, uncut, one at a time: sizes differ."""
        return self._undistorted(PlainExamples(self.data, self.data.test, whole=True), count, 1)

    def probe_images(self, count: int) -> Tensor:
        """The first `count` training images that can be read, undistorted."""
        examples = PlainExamples(self.data, self.data.train)
        return torch.cat([x for x, _ in self._undistorted(examples, count, CHUNK)])

    def _undistorted(
        self, examples: "PlainExamples", count: int | None, together: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        numbers = range(len(examples.files))[:count]
        chunks = [list(numbers[i : i + together]) for i in range(0, len(numbers), together)]
        for read in self._loader(examples, chunks):
            self._note(read.broken)
            if len(read.labels):
                x, labels, _ = self._placed(read)
                yield x.contiguous(memory_format=torch.channels_last), labels

    def _placed(self, read: Read) -> tuple[Tensor, Tensor, Tensor]:
        pixels, labels, numbers = (t.to(self.device, non_blocking=True) for t in read[:3])
        return scaled(pixels), labels, numbers

    def _loader(self, examples: Dataset, batches: "Steps | list[list[int]]") -> Iterator[Read]:
        workers = self.data.workers
        return iter(
            DataLoader(
                examples,
                batch_sampler=batches,
                num_workers=min(cores(), MOST_WORKERS) if workers is None else workers,
                collate_fn=collate,
                pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),  # leaves the run's random numbers alone
            )
        )

    def _note(self, broken: dict[str, str]) -> None:
        """Name what broke for the first time; stop the run when it is too much."""
        for name in broken.keys() - self.broken:
            log.warning("%s: cannot be read (%s); skipped", self.data.root / name, broken[name])
        self.broken |= broken.keys()
        total = len(self.data.train) + len(self.data.test)
        if len(self.broken) > self.data.max_broken * total:
            first = self.data.root / min(self.broken)
            raise UserError(
                f"{len(self.broken)} of {total} images broke during training ({first} …), more"
                f" than data.max_broken={self.data.max_broken} of them; repair the data and run"
                " the same command again to resume"
            )


class Steps(Sampler):
    """The examples of one step after the other, without end, from any step on."""

    def __init__(self, order: Order, start: int) -> None:
        self.order, self.start = order, start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first, place = self.order.place(self.start)
        for epoch in itertools.count(first):
            for batch in self.order.batches(epoch)[place:]:
                yield [(epoch, number) for number in batch.tolist()]
            place = 0


class TrainingExamples(Dataset):
    """(epoch, example) to a random crop of the example, or of the next one that can be read."""

    def __init__(self, data: FolderSet, seed: int) -> None:
        self.data, self.seed = data, seed
        self.crop = v2.RandomResizedCrop(data.size, scale=AREA, antialias=True)
        self.tries = 1 + int(data.max_broken * (len(data.train) + len(data.test)))

    def __getitem__(self, key: tuple[int, int]) -> Read:
        epoch, number = key
        files, broken = self.data.train, {}
        for _ in range(self.tries):  # when all fail, more broke than may
            try:
                image = decode(self.data.root / files.name(number))
            except Unreadable as reason:
                broken[files.name(number)] = str(reason)
                number = (number + 1) % len(files)
            else:
                image = self._cropped(image, epoch, number)
                return Read(image, files.labels[number], torch.tensor(number), broken)
        return unread(broken)

    def _cropped(self, image: Tensor, epoch: int, number: int) -> Tensor:
        """torchvision draws from the global generator, which is put back afterwards."""
        with torch.random.fork_rng(devices=[]):
            key = stream(self.seed, "crop", epoch, number).initial_seed()
            torch.default_generator.manual_seed(key)
            return self.crop(image)


class PlainExamples(Dataset):
    """Examples of one part, undistorted: the single central crop, or the whole image."""

    def __init__(self, data: FolderSet, files: Files, whole: bool = False) -> None:
        self.data, self.files, self.whole = data, files, whole

    def __getitem__(self, number: int) -> Read:
        name, size = self.files.name(number), self.data.size
        try:
            image = decode(self.data.root / name)
            if not self.whole:
                image = centre(image, size, round(SHORTER * size))
        except Unreadable as reason:
            return unread({name: str(reason)})
        return Read(image, self.files.labels[number], torch.tensor(number), {})


def collate(reads: list[Read]) -> Read:
    """One `Read` of the examples that could be read."""
    good = [read for read in reads if read.pixels.numel()]
    broken = {name: why for read in reads for name, why in read.broken.items()}
    if not good:
        return unread(broken)
    columns = zip(*(read[:3] for read in good), strict=True)
    pixels, labels, numbers = map(torch.stack, columns)
    return Read(pixels, labels, numbers, broken)
