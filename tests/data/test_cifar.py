"""CIFAR-10 in torchvision's layout: read, verified, downloaded once."""

from pathlib import Path

import pytest
import torch
from torchvision.datasets import CIFAR10

from bnrepro.data import load
from bnrepro.errors import UserError
from experiments.inception.__main__ import main
from tests.data.cifar import pass_for_cifar10, write_cifar10


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A folder whose contents torchvision takes for the original's."""
    pass_for_cifar10(tmp_path / "root", monkeypatch)
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
        write_cifar10(Path(self.root))

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
