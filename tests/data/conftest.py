"""Real IDX files with the synthetic set's contents, and a catalogue that knows their checksums."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from bnrepro.data import Dataset, synthetic
from bnrepro.data.idx import FILES
from bnrepro.data.registry import IDX, REGISTRY, Entry, _idx
from bnrepro.data.sources import Source, Unavailable

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
