"""A folder of IDX files: what it gives when intact, and the one line for each kind of damage."""

import gzip
import shutil

import pytest
import torch

from bnrepro.data import load
from bnrepro.data.idx import decode, encode
from bnrepro.data.sources import Source
from bnrepro.errors import UserError
from tests.data.conftest import IMAGES, LABELS, TEST_LABELS, write_idx


@pytest.fixture
def folder(original, catalogue, tmp_path):
    catalogue("mnist", subfolder="MNIST/raw")
    return write_idx(original, tmp_path / "given")


def load_error(folder) -> str:
    with pytest.raises(UserError) as caught:
        load("mnist", root=folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("inside", [".", "MNIST/raw"])
def test_intact_files_give_the_original(original, catalogue, tmp_path, zipped, inside):
    catalogue("mnist", subfolder="MNIST/raw")
    write_idx(original, tmp_path / inside, zipped)
    loaded = load("mnist", root=str(tmp_path))
    assert (loaded.name, loaded.source) == ("mnist", "folder given")
    for got, expected in zip(loaded.tensors(), original.tensors(), strict=True):
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected)


def test_folder_given_is_the_only_source(original, catalogue, tmp_path):
    def never(folder):
        raise AssertionError("fetched in spite of the folder given")

    catalogue("mnist", Source("never", never))
    write_idx(original, tmp_path / "cache" / "mnist")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        UserError, match=rf"empty lacks {IMAGES}, .* \(raw or \.gz\); put an intact"
    ):
        load("mnist", root=tmp_path / "empty", cache=tmp_path / "cache")


@pytest.mark.parametrize("length", [2, 10, 1000])
def test_truncated_file(folder, length):
    content = (folder / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(content[:length])
    message = load_error(folder)
    assert f"{folder / IMAGES}: truncated" in message
    assert "put an intact copy" in message


def test_bytes_too_many(folder):
    with open(folder / LABELS, "ab") as file:
        file.write(b"more")
    assert "too long: 72 bytes where its header says 68" in load_error(folder)


def test_swapped_images_and_labels(folder):
    shutil.move(folder / IMAGES, folder / "aside")
    shutil.move(folder / LABELS, folder / IMAGES)
    shutil.move(folder / "aside", folder / LABELS)
    message = load_error(folder)
    assert f"{folder / IMAGES}: holds labels where images belong" in message
    assert "swapped" in message


def test_not_idx_at_all(folder):
    (folder / IMAGES).write_bytes(b"<html>sign in to this network</html>")
    assert "not an IDX file of images (it starts with 3c68746d)" in load_error(folder)


def test_wrong_checksum(folder):
    content = bytearray((folder / IMAGES).read_bytes())
    content[-1] ^= 1
    (folder / IMAGES).write_bytes(content)
    assert f"{folder / IMAGES}: wrong checksum" in load_error(folder)


def test_fewer_labels_than_images(folder, original):
    (folder / TEST_LABELS).write_bytes(encode(original.test_labels[:-1]))
    assert f"20 images, but 19 labels in {TEST_LABELS}" in load_error(folder)


def test_missing_file(folder):
    (folder / TEST_LABELS).unlink()
    assert f"{folder} lacks {TEST_LABELS}" in load_error(folder)


def test_named_gz_but_not_gzip(folder):
    shutil.move(folder / IMAGES, folder / f"{IMAGES}.gz")
    assert f"{IMAGES}.gz: not a gzip file" in load_error(folder)


def test_truncated_gzip(folder):
    content = gzip.compress((folder / IMAGES).read_bytes())
    (folder / IMAGES).unlink()
    (folder / f"{IMAGES}.gz").write_bytes(content[:-50])
    assert "truncated or damaged gzip file" in load_error(folder)


def test_unknown_name():
    with pytest.raises(UserError, match=r"unknown data set 'minst'; choose one of mnist, .*synth"):
        load("minst")


def test_encode_inverts_decode(folder):
    for name, kind in ((IMAGES, "images"), (LABELS, "labels")):
        content = (folder / name).read_bytes()
        assert encode(decode(content, kind)) == content
