"""Real IDX files with the synthetic set's contents, and a catalogue that knows their checksums."""

import gzip
import hashlib
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torchvision.datasets import CIFAR10

from bnrepro.config import DataConfig
from bnrepro.data import Dataset, synthetic
from bnrepro.data.idx import FILES
from bnrepro.data.registry import IDX, REGISTRY, Entry, _idx
from bnrepro.data.sources import Source, Unavailable
from tests.data.cifar import pass_for_cifar10, write_cifar10
from tests.data.pictures import class_folders, config, tiny_imagenet

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx_files(dataset: Dataset) -> dict[str, bytes]:
    """The four files as the format's description has them, independent of the package's writer."""

    def images(tensor):
        return struct.pack(">IIII", 2051, len(tensor), 28, 28) + bytes(tensor.flatten().tolist())

    def labels(tensor):
        return struct.pack(">II", 2049, len(tensor)) + bytes(tensor.tolist())

    return {
        IMAGES: images(dataset.train_images),
        LABELS: labels(dataset.train_labels),
        TEST_IMAGES: images(dataset.test_images),
        TEST_LABELS: labels(dataset.test_labels),
    }


def write_idx(dataset: Dataset, folder: Path, zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in idx_files(dataset).items():
        target = folder / (f"{name}.gz" if zipped else name)
        target.write_bytes(gzip.compress(content, 1) if zipped else content)
    return folder


def serving(dataset: Dataset, label: str = "a good source") -> Source:
    return Source(label, lambda folder: write_idx(dataset, folder))


def failing(label: str, reason: str) -> Source:
    def fetch(folder: Path) -> Path:
        raise Unavailable(reason)

    return Source(label, fetch)


@pytest.fixture(scope="session")
def original() -> Dataset:
    return synthetic(train=60, test=20)


@pytest.fixture
def catalogue(original, monkeypatch) -> Callable[..., None]:
    """`catalogue("mnist", source, …)` makes the synthetic contents the set's true contents."""
    content = idx_files(original)
    hashes = [hashlib.sha256(content[file]).hexdigest() for file in FILES]

    def enter(name, *sources, stand_in=None, subfolder="."):
        read = _idx(*hashes, subfolder=subfolder)
        entry = Entry(name, None, read, holds=IDX, sources=sources, stand_in=stand_in)
        monkeypatch.setitem(REGISTRY, name, entry)

    return enter


KINDS = ("mnist", "cifar10", "tiny_imagenet", "imagefolder", "streamed")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture
def sets(place, original, catalogue, monkeypatch) -> dict[str, DataConfig]:
    """A small set of every kind, which the first opening fetches or decodes into the cache."""
    cache = place / "cache"
    catalogue("mnist", serving(original))
    photos = class_folders(place / "photos", classes=2, train=2, test=1)
    pass_for_cifar10(place / "batches", monkeypatch)
    monkeypatch.setattr(CIFAR10, "download", lambda self: write_cifar10(Path(self.root)))
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_and_extract_archive",
        lambda address, folder, **_: tiny_imagenet(Path(folder) / "tiny-imagenet-200"),
    )
    return {
        "mnist": DataConfig(name="mnist", cache=str(cache)),
        "cifar10": DataConfig(name="cifar10", cache=str(cache)),
        "tiny_imagenet": config(None, cache, name="tiny_imagenet"),
        "imagefolder": config(photos, cache),
        "streamed": config(photos, cache, stream=True),
    }
