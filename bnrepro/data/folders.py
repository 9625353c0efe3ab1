"""Image folders: which files there are, and whether they make a data set.

Three layouts are known:

`imagefolder`, `imagenet`   train/<class>/*.jpg beside val/<class>/*.jpg or test/<class>/*.jpg;
                            torchvision's `ImageNet` leaves LSVRC2012 in the same form
`tiny_imagenet`             train/<wnid>/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt
                            and wnids.txt; the box files are not needed

Classes are numbered in the order of their names. The stored order of the files is random, the same
everywhere: parts of a set then hold all classes, be it a shard, the first test images or the probed
ones.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bnrepro.data.dataset import ImageSet, hold_out
from bnrepro.errors import UserError
from bnrepro.seeding import stream

IMAGES = (".jpg", ".jpeg", ".png", ".webp")
SHOWN = 3  # of many names, the first few
THREADS = 16  # listing waits for the disk
# What tells the originals from sets of other contents that have the same layout.
TINY_IMAGENET = "69526b86230acd4a"  # checksum of names and sizes
LSVRC2012 = (1_281_167, 50_000, 1000)  # training images, validation images, classes


class File(NamedTuple):
    name: str  # relative to the set's root
    size: int  # bytes
    label: int


@dataclass(frozen=True, eq=False)
class Files:
    """The files of one part. Of a million images the names are kept as bytes, not as objects,
    which every reading process would come to hold as its own copy."""

    names: np.ndarray  # bytes, relative to the set's root
    sizes: Tensor  # int64, bytes
    labels: Tensor  # int64

    def __len__(self) -> int:
        return len(self.names)

    def name(self, number: int) -> str:
        return os.fsdecode(self.names[number])

    def __getitem__(self, numbers: Tensor) -> "Files":
        return Files(self.names[numbers.numpy()], self.sizes[numbers], self.labels[numbers])


@dataclass(frozen=True, eq=False)
class FolderSet(ImageSet):
    """A set whose images stay in their files."""

    name: str
    source: str
    root: Path
    train: Files
    test: Files
    num_classes: int
    size: int  # pixels of the square images that the network sees
    workers: int | None = None
    max_broken: float = 0.0
    evaluated_on: str = "test"

    @property
    def train_labels(self) -> Tensor:  # type: ignore[override]
        return self.train.labels

    @property
    def test_labels(self) -> Tensor:  # type: ignore[override]
        return self.test.labels

    @cached_property
    def checksum(self) -> str:
        """Of names, sizes and labels: reading all contents would take an hour for LSVRC2012."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(b"\0".join(part.names.tolist()))
            digest.update(torch.stack([part.sizes, part.labels]).reshape(-1).numpy().data)
        return digest.hexdigest()[:16]

    def with_validation(self, count: int) -> "FolderSet":
        """`split_validation` for files."""
        kept, held_out = hold_out(self, count)
        return replace(
            self,
            train=self.train[kept],
            test=self.train[held_out],
            evaluated_on="validation",
        )


def read_folder(kind: str, root: Path, label: str | None, size: int) -> FolderSet:
    """The files under `root` as the set `kind`.

    Raises UserError for a wrong layout, empty or missing classes, or test classes that differ.
    """
    if not root.is_dir():
        raise UserError(f"data.root={root}: no such folder")
    read = tiny_imagenet if kind == "tiny_imagenet" else class_folders
    train, test, classes = read(root)
    found = FolderSet(
        name=label or kind,
        source="folder given",
        root=root,
        train=_stored(train, "train"),
        test=_stored(test, "test"),
        num_classes=len(classes),
        size=size,
    )
    return found if _original(kind, found) else replace(found, name=f"{found.name}-altered")


def _original(kind: str, found: FolderSet) -> bool:
    """Whether a set that bears a known set's name is that set."""
    if kind == "tiny_imagenet":
        return found.checksum == TINY_IMAGENET
    counts = (len(found.train), len(found.test), found.num_classes)
    return kind != "imagenet" or counts == LSVRC2012


def _stored(files: Sequence[File], part: str) -> Files:
    order = torch.randperm(len(files), generator=stream(0, "stored order", part))
    names = np.array([os.fsencode(f.name) for f in files])
    sizes, labels = (torch.tensor([f[i] for f in files]) for i in (1, 2))
    return Files(names, sizes, labels)[order]


def class_folders(root: Path) -> tuple[list[File], list[File], list[str]]:
    """Training files, test files and classes of the layout train/<class>/, val|test/<class>/."""
    layout = "expected train/<class>/*.jpg and val/<class>/*.jpg (or test/<class>/*.jpg)"
    test = next((p for p in ("val", "test") if (root / p).is_dir()), None)
    for part in ("train", test):
        if part is None or not (root / part).is_dir():
            raise UserError(f"{root}: no folder {part or 'val or test'}/; {layout}{_packed(root)}")
        if not _subfolders(root / part):
            raise UserError(f"{root / part}: no class folders in it; {layout}")
    assert test is not None
    classes, others = _subfolders(root / "train"), _subfolders(root / test)
    _same_classes(root / test, classes, others)
    return (
        _list_classes(root, [f"train/{c}" for c in classes]),
        _list_classes(root, [f"{test}/{c}" for c in classes]),
        classes,
    )


def _packed(root: Path) -> str:
    """What to do when LSVRC2012's archives were never unpacked."""
    if not any(root.glob("ILSVRC2012_*.tar*")):
        return ""
    return (
        "; the archives are still packed: unpack them once with"
        " torchvision.datasets.ImageNet(root, 'train') and the same for 'val'"
    )


def tiny_imagenet(root: Path) -> tuple[list[File], list[File], list[str]]:
    """Training files, validation files and classes of Tiny-ImageNet's own layout."""
    notes = root / "val" / "val_annotations.txt"
    for path in (root / "train", root / "val" / "images", notes, root / "wnids.txt"):
        if not path.exists():
            raise UserError(
                f"{root}: no {path.relative_to(root)}; expected Tiny-ImageNet's own layout:"
                " train/<wnid>/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt, wnids.txt"
            )
    classes = sorted((root / "wnids.txt").read_text().split())
    _same_classes(root / "train", classes, _subfolders(root / "train"), "wnids.txt")
    train = _list_classes(root, [f"train/{c}/images" for c in classes])
    return train, _annotated(root, notes, classes), classes


def _annotated(root: Path, notes: Path, classes: Sequence[str]) -> list[File]:
    """The validation files with the labels that `val_annotations.txt` gives them."""
    number = {wnid: i for i, wnid in enumerate(classes)}
    rows = [line.split("\t") for line in notes.read_text().splitlines() if line.strip()]
    if bad := [str(i) for i, row in enumerate(rows, 1) if len(row) < 2 or row[1] not in number]:
        raise UserError(f"{notes}: {some(bad, 'line')} without a file name and a known class")
    labels = {row[0]: number[row[1]] for row in rows}
    present = dict(_images(root / "val" / "images"))
    if missing := sorted(set(labels) - set(present)):
        raise UserError(f"{root / 'val/images'}: lacks {some(missing, 'annotated image')}")
    if unknown := sorted(set(present) - set(labels)):
        raise UserError(f"{notes}: says nothing of {some(unknown, 'image')}")
    _same_classes(notes, classes, {row[1] for row in rows})
    return [File(f"val/images/{n}", present[n], labels[n]) for n in sorted(present)]


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


def _list_classes(root: Path, folders: Sequence[str]) -> list[File]:
    """The images of class folders, which are numbered as they come."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda folder: _images(root / folder), folders))
    if empty := [folder for folder, images in zip(folders, found, strict=True) if not images]:
        raise UserError(
            f"{root}: no images ({', '.join(IMAGES)}) in {some(empty, 'class folder')}; fill or"
            " remove them"
        )
    return [
        File(f"{folder}/{name}", size, label)
        for label, (folder, images) in enumerate(zip(folders, found, strict=True))
        for name, size in images
    ]


def _images(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of the images in a folder, by name."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(
            (e.name, e.stat().st_size)
            for e in entries
            if e.name.lower().endswith(IMAGES) and not e.name.startswith(".") and e.is_file()
        )


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())


def some(names: Sequence[str], what: str) -> str:
    """A count and the first few names: "12 images (a, b, c, …)"."""
    plural = what + ("" if len(names) == 1 else "es" if what.endswith("s") else "s")
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)} {plural} ({', '.join(names[:SHOWN])}{more})"
