"""Image folders: which files there are, and whether they make a data set.

Three layouts are known:

`imagefolder`, `imagenet`   train/<class>/*.jpg beside val/<class>/*.jpg or test/<class>/*.jpg;
                            torchvision's `ImageNet` leaves LSVRC2012 in the same form
`tiny_imagenet`             train/<wnid>/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt
                            and wnids.txt; the box files are not needed

Images may lie deeper in a class folder; `listing` says which files count. Classes are numbered in
the order of their names. The stored order of the files is random, the same everywhere: parts of a
set then hold all classes, be it a shard, the first test images or the probed ones.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bnrepro.data.dataset import ImageSet, hold_out
from bnrepro.data.listing import (
    IMAGES,
    Found,
    LeftOut,
    list_folders,
    list_images,
    say_left_out,
    some,
)
from bnrepro.errors import UserError
from bnrepro.files import read_text
from bnrepro.seeding import stream

Labelled = tuple[Found, int]  # a file and its class
Listed = tuple[list[Labelled], list[Labelled], list[str]]  # training, test, names of the classes
Layout = Callable[[Path, list[LeftOut]], Listed]

THREADS = 16  # listing waits for the disk
DECODING = 2  # raise it when `decoding` makes other pixels of the same file, or refuses others


@dataclass(frozen=True, eq=False)
class Files:
    """The files of one part. Of a million images the names are kept as bytes, not as objects,
    of which every reading process would come to hold a copy."""

    names: np.ndarray  # bytes, relative to the set's root
    sizes: Tensor  # int64, bytes
    changed: Tensor  # int64, ns since 1970
    labels: Tensor  # int64

    def __len__(self) -> int:
        return len(self.names)

    def name(self, number: int) -> str:
        """The name of one file."""
        return os.fsdecode(self.names[number])

    def __getitem__(self, numbers: Tensor) -> "Files":
        tensors = (t[numbers] for t in (self.sizes, self.changed, self.labels))
        return Files(self.names[numbers.numpy()], *tensors)


@dataclass(frozen=True, eq=False)
class FolderSet(ImageSet):
    """A set whose images stay in their files."""

    name: str
    source: str
    root: Path
    train: Files
    test: Files
    num_classes: int
    size: int = 0  # pixels of the square images that the network sees; 0: not chosen yet
    workers: int | None = None
    max_broken: float = 0.0
    evaluated_on: str = "test"
    class_names: tuple[str, ...] = ()

    @property
    def train_labels(self) -> Tensor:  # type: ignore[override]
        """Classes of the training images, int64 (N,)."""
        return self.train.labels

    @property
    def test_labels(self) -> Tensor:  # type: ignore[override]
        """Classes of the images evaluated on, int64 (N,)."""
        return self.test.labels

    @cached_property
    def checksum(self) -> str:
        """Of names, sizes and labels: reading all contents would take an hour for LSVRC2012."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(b"\0".join(part.names.tolist()))
            digest.update(torch.stack([part.sizes, part.labels]).reshape(-1).numpy().data)
        return digest.hexdigest()[:16]

    @cached_property
    def state(self) -> str:
        """Of names, sizes, labels and times of change: what was made from files in another state is
        out of date. No record holds it, since a copy of the set is the same set."""
        digest = hashlib.sha256(f"{self.checksum}{DECODING}".encode())
        for part in (self.train, self.test):
            digest.update(part.changed.numpy().data)
        return digest.hexdigest()[:16]

    def counts(self) -> tuple[int, int, int]:
        """Training images, test images and classes."""
        return len(self.train), len(self.test), self.num_classes

    def with_validation(self, count: int) -> "FolderSet":
        """`split_validation` for files."""
        kept, held_out = (self.train[numbers] for numbers in hold_out(self, count))
        return replace(self, train=kept, test=held_out, evaluated_on="validation")


def read_folder(
    layout: Layout,
    is_original: Callable[[FolderSet], bool],
    name: str,
    folder: Path,
    source: str,
    remedy: str,
) -> FolderSet:
    """The files of a folder as the set `name`, or `<name>-altered` when they are not the original.

    What is left out is logged in one line. Raises UserError for a wrong layout, empty or missing
    classes, a single class, or test classes that differ.
    """
    left: list[LeftOut] = []
    train, test, classes = layout(folder, left)
    say_left_out(folder, left)
    if len(classes) < 2:
        raise UserError(f"{folder}: only {some(classes, 'class')}; at least 2 are needed")
    found = FolderSet(
        name, source, folder, _stored(train, "train"), _stored(test, "test"), len(classes),
        class_names=tuple(classes),
    )  # fmt: skip
    return found if is_original(found) else replace(found, name=f"{name}-altered")


def _stored(files: Sequence[Labelled], part: str) -> Files:
    order = torch.randperm(len(files), generator=stream(0, "stored order", part))
    names = np.array([os.fsencode(file.name) for file, _ in files])
    sizes = torch.tensor([file.size for file, _ in files])
    changed = torch.tensor([file.changed for file, _ in files])
    return Files(names, sizes, changed, torch.tensor([label for _, label in files]))[order]


def class_folders(root: Path, left: list[LeftOut]) -> Listed:
    """The layout train/<class>/, val|test/<class>/."""
    layout = "expected train/<class>/*.jpg and val/<class>/*.jpg (or test/<class>/*.jpg)"
    test = "val" if (root / "val").is_dir() else "test"
    for part, either in (("train", "train"), (test, "val or test")):
        if not (root / part).is_dir():
            raise UserError(f"{root}: no folder {either}/; {layout}{_packed(root)}")
    if test == "val" and (root / "test").is_dir() and list_folders(root, "test", []):
        left.append(LeftOut("unused folder", "test"))
    classes, others = (list_folders(root, part, left) for part in ("train", test))
    for part, found in (("train", classes), (test, others)):
        if not found:
            raise UserError(f"{root / part}: no class folders in it; {layout}")
    _same_classes(root / test, classes, others)
    train, tests = (
        _list_classes(root, [f"{part}/{c}" for c in classes], left) for part in ("train", test)
    )
    return train, tests, classes


def _packed(root: Path) -> str:
    """What to do when LSVRC2012's archives were never unpacked."""
    if not any(root.glob("ILSVRC2012_*.tar*")):
        return ""
    return (
        "; the archives are still packed: unpack them once with"
        " torchvision.datasets.ImageNet(root, 'train') and the same for 'val'"
    )


def tiny_imagenet(root: Path, left: list[LeftOut]) -> Listed:
    """The layout of Tiny-ImageNet's archive."""
    notes = root / "val" / "val_annotations.txt"
    for path in (root / "train", root / "val" / "images", notes, root / "wnids.txt"):
        if not path.exists():
            raise UserError(
                f"{root}: no {path.relative_to(root)}; expected Tiny-ImageNet's layout:"
                " train/<wnid>/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt, wnids.txt"
            )
    classes = sorted(line.strip() for line in _lines(root / "wnids.txt"))
    _same_classes(root / "train", classes, list_folders(root, "train", left), "wnids.txt")
    train = _list_classes(root, [f"train/{c}/images" for c in classes], left)
    return train, _annotated(root, notes, classes, left), classes


def _annotated(
    root: Path, notes: Path, classes: Sequence[str], left: list[LeftOut]
) -> list[Labelled]:
    """The validation files with the labels that `val_annotations.txt` gives them."""
    number = {wnid: i for i, wnid in enumerate(classes)}
    rows = [line.split("\t") for line in _lines(notes)]
    if bad := [str(i) for i, row in enumerate(rows, 1) if len(row) < 2 or row[1] not in number]:
        raise UserError(f"{notes}: {some(bad, 'line')} without a file name and a known class")
    labels = {row[0]: number[row[1]] for row in rows}
    images = list_images(root, "val/images", left)
    present = {image.name.removeprefix("val/images/"): image for image in images}
    if missing := sorted(set(labels) - set(present)):
        raise UserError(f"{root / 'val/images'}: lacks {some(missing, 'annotated image')}")
    if unknown := sorted(set(present) - set(labels)):
        raise UserError(f"{notes}: says nothing of {some(unknown, 'image')}")
    _same_classes(notes, classes, {row[1] for row in rows})
    return [(image, labels[name]) for name, image in present.items()]


def _lines(path: Path) -> list[str]:
    """The lines of a text of file names, decoded as the locale lets Python decode file names."""
    return [os.fsdecode(line.encode()) for line in read_text(path).split("\n") if line.strip()]


def _same_classes(
    where: Path, classes: Iterable[str], others: Iterable[str], reference: str = "train/"
) -> None:
    missing, added = sorted(set(classes) - set(others)), sorted(set(others) - set(classes))
    if not missing and not added:
        return
    parts = [f"lacks {some(missing, 'class')}"] if missing else []
    parts += [f"adds {some(added, 'class')}"] if added else []
    raise UserError(
        f"{where}: classes differ from those of {reference}: it {' and '.join(parts)}; both must"
        " have the same classes"
    )


def _list_classes(root: Path, folders: Sequence[str], left: list[LeftOut]) -> list[Labelled]:
    """The images of class folders, which are numbered as they come."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda folder: list_images(root, folder, left), folders))
    if empty := [folder for folder, images in zip(folders, found, strict=True) if not images]:
        raise UserError(
            f"{root}: no images ({', '.join(IMAGES)}) in {some(empty, 'class folder')}; fill or"
            " remove them"
        )
    return [(image, label) for label, images in enumerate(found) for image in images]
