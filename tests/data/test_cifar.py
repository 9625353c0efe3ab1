"""CIFAR-10 in torchvision's layout: read, verified, downloaded once."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from bnrepro.data import load
from bnrepro.errors import UserError
from experiments.inception.__main__ import main

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def write_batches(root: Path) -> dict[str, str]:
    """Six batches of four images and the class names, as the original packs them; their MD5s."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        planes = np.full((4, 3, 1024), number, np.uint8) + np.arange(3, dtype=np.uint8)[:, None]
        content = {"data": planes.reshape(4, 3072), "labels": [number, 1, 2, 3]}
        (folder / name).write_bytes(pickle.dumps(content))
    meta = {"label_names": [f"class {c}" for c in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    return {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A folder whose contents torchvision takes for the original's."""
    md5 = write_batches(tmp_path / "root")
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in NAMES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[NAMES[5], md5[NAMES[5]]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5["batches.meta"]})
    return tmp_path / "root"


@pytest.mark.parametrize("inside", [".", "cifar-10-batches-py"])
def test_a_folder_given(root, tmp_path, inside):
    data = load("cifar10", root / inside, tmp_path / "cache")
    assert (data.train_images.shape, data.test_images.shape) == ((20, 3, 32, 32), (4, 3, 32, 32))
    assert (data.train_images.dtype, data.num_classes) == (torch.uint8, 10)
    assert data.train_labels.tolist() == [n for i in range(5) for n in (i, 1, 2, 3)]
    assert data.test_images[0, :, 0, 0].tolist() == [5, 6, 7]  # red, green, blue
    assert data.source == "folder given"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write the data cache .*; make it writable"):
        load("cifar10", None, tmp_path / "cache")


def test_a_damaged_file_is_named(root, tmp_path):
    path = root / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"data_batch_3: wrong checksum.*put an intact copy"):
        load("cifar10", root, tmp_path / "cache")


def test_missing_files_are_named(root, tmp_path):
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(UserError, match=r"lacks test_batch; put an intact copy there"):
        load("cifar10", root, tmp_path / "cache")


def test_a_download_is_kept(root, tmp_path, monkeypatch):
    def fetch(self):
        write_batches(Path(self.root))

    monkeypatch.setattr(CIFAR10, "download", fetch)
    fetched = load("cifar10", cache=tmp_path / "cache")
    monkeypatch.setattr(CIFAR10, "download", None)
    cached = load("cifar10", cache=tmp_path / "cache")
    assert fetched.checksum == cached.checksum
    assert (fetched.source, cached.source) == (
        "torchvision's download",
        "cache (from torchvision's download)",
    )


def test_without_a_network_the_line_says_what_to_do(root, tmp_path, monkeypatch):
    def offline(self):
        raise OSError("<urlopen error name not known>")

    monkeypatch.setattr(CIFAR10, "download", offline)
    with pytest.raises(UserError, match=r"cannot get cifar10; .*name not known.*data\.root"):
        load("cifar10", cache=tmp_path / "cache")
    assert not (tmp_path / "cache/cifar10").exists()


def test_inception_trains_on_it(root, run, tmp_path):
    data = ["data=cifar10", f"data.root={root}", f"data.cache={tmp_path}", "optim.batch=4"]
    small = ["scale=smoke", "model.stem=small", "seeds=1", "wandb.mode=disabled"]
    assert run(main, [*small, *data, "variant=bn_x5", f"results={tmp_path / 'results'}"]) == 0
    assert list((tmp_path / "results").rglob("summary.json"))
