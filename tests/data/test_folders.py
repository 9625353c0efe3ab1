"""Image folders: every layout is read, every bad input is one line that names it."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from torchvision.io import decode_jpeg, read_file

from bnrepro.config.identity import folder_name
from bnrepro.data import open_dataset, open_images
from bnrepro.data.decoding import centre
from bnrepro.errors import UserError
from tests.data.pictures import class_folders, config, tiny_imagenet, truncate, write_image


@pytest.fixture(scope="module")
def original_folder(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("original") / "set")


@pytest.fixture
def folder(original_folder, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(original_folder, tmp_path / "set"))


def square(path: Path, size: int) -> torch.Tensor:
    return centre(decode_jpeg(read_file(str(path))), size, size)


def test_class_folders_come_as_bytes_of_one_size_with_their_classes(folder, tmp_path):
    data = open_dataset(config(folder, tmp_path / "cache"))
    assert (data.train_images.shape, data.test_images.shape) == ((24, 3, 16, 16), (12, 3, 16, 16))
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.bincount().tolist() == [8, 8, 8]
    for c in range(3):
        expected = {square(p, 16).numpy().tobytes() for p in (folder / f"train/c{c}").iterdir()}
        found = {x.numpy().tobytes() for x in data.train_images[data.train_labels == c]}
        assert found == expected


def test_the_stored_order_mixes_the_classes_and_is_the_same_everywhere(folder, tmp_path):
    one = open_dataset(config(folder, tmp_path / "a"))
    folder.rename(tmp_path / "moved")
    other = open_dataset(config(tmp_path / "moved", tmp_path / "b"))
    assert one.checksum == other.checksum
    assert len(one.test_labels[:4].unique()) > 1
    assert not torch.equal(one.train_labels, one.train_labels.sort().values)


def test_identity_has_a_label_and_no_path(folder, tmp_path):
    for stream in (False, True):
        data = open_images(config(folder, tmp_path / "cache", label="toys", stream=stream))
        identity = data.identity()
        assert identity["sizes"] == {"train": 24, "test": 12}
        assert (identity["name"], identity["source"]) == ("toys", "folder given")
        assert str(tmp_path) not in str(identity)


def test_test_may_stand_for_val(tmp_path):
    data = open_dataset(config(class_folders(tmp_path / "set", part="test"), tmp_path / "cache"))
    assert len(data.test_labels) == 12


def test_images_are_decoded_once_and_kept_until_the_files_change(folder, tmp_path, caplog):
    cfg = config(folder, tmp_path / "cache")
    with caplog.at_level(logging.INFO):
        first = open_dataset(cfg)
        assert "decoding" in caplog.text
        caplog.clear()
        assert open_dataset(cfg).checksum == first.checksum
        assert "decoding" not in caplog.text
        write_image(folder / "train/c0/more.jpg")
        assert len(open_dataset(cfg).train_labels) == 25
        assert "decoding" in caplog.text


def test_an_interrupted_decoding_leaves_no_half_cache(folder, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    cfg = config(folder, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_dataset(cfg)
    assert all(path.suffix == ".lock" for path in (tmp_path / "cache").iterdir())
    assert len(open_dataset(cfg).train_labels) == 24


def test_a_damaged_cache_says_to_delete_it(folder, tmp_path):
    cfg = config(folder, tmp_path / "cache")
    open_dataset(cfg)
    (path,) = (tmp_path / "cache").glob("*.pt")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"\.pt: not readable; delete it"):
        open_dataset(cfg)


def test_validation_holds_out_the_same_images_in_memory_and_streamed(folder, tmp_path):
    held = open_dataset(config(folder, tmp_path / "cache", validation=5))
    streamed = open_images(config(folder, tmp_path / "cache", validation=5, stream=True))
    for data in (held, streamed):
        assert data.identity()["sizes"] == {"train": 19, "validation": 5}
    assert torch.equal(held.test_labels, streamed.test_labels)
    assert torch.equal(held.train_labels, streamed.train_labels)
    whole = open_images(config(folder, tmp_path / "cache", stream=True))
    assert streamed.checksum != whole.checksum


def test_tiny_imagenet_in_its_own_layout(tmp_path, caplog):
    root = tiny_imagenet(tmp_path / "set")
    data = open_dataset(config(root, tmp_path / "cache", name="tiny_imagenet", size=None))
    assert data.train_images.shape == (12, 3, 64, 64)
    assert data.num_classes == 3
    known = {
        square(root / f"val/images/val_{i}.JPEG", 64).numpy().tobytes(): 2 - i % 3 for i in range(6)
    }  # n2 is the last of the sorted classes
    for image, label in zip(data.test_images, data.test_labels, strict=True):
        assert known[image.numpy().tobytes()] == label
    assert data.name == "tiny_imagenet-altered"
    assert "not tiny_imagenet's original files" in caplog.text


def test_imagenet_streams_and_other_contents_go_by_another_name(folder, tmp_path):
    data = open_images(config(folder, tmp_path / "cache", name="imagenet", size=None, stream=True))
    assert (data.name, data.size) == ("imagenet-altered", 224)


def broken_layouts() -> dict:
    def emptied(root):
        for path in (root / "train/c1").iterdir():
            path.unlink()

    def renamed(root):
        (root / "val/c2").rename(root / "val/other")

    def flat(root):
        shutil.rmtree(root / "val")
        write_image(root / "val/1.jpg")

    def packed(root):
        shutil.rmtree(root / "train")
        (root / "ILSVRC2012_img_train.tar").touch()

    return {
        "no train": (lambda r: shutil.rmtree(r / "train"), r"no folder train/; expected train/<cl"),
        "no val": (lambda r: shutil.rmtree(r / "val"), "no folder val or test/"),
        "flat": (flat, "val: no class folders in it; expected"),
        "packed": (packed, "archives are still packed: unpack them once with torchvision"),
        "empty class": (emptied, r"no images .* in 1 class folder \(train/c1\)"),
        "lost class": (lambda r: shutil.rmtree(r / "val/c0"), r"val: .*lacks 1 class \(c0\)"),
        "other class": (renamed, r"lacks 1 class \(c2\) and adds 1 class \(other\)"),
        "no root": (shutil.rmtree, "data.root=.*: no such folder"),
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", broken_layouts())
def test_a_bad_layout_is_one_line(name, stream, folder, tmp_path):
    damage, line = broken_layouts()[name]
    damage(folder)
    with pytest.raises(UserError, match=line) as caught:
        open_images(config(folder, tmp_path / "cache", stream=stream))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stream", [False, True])
def test_unreadable_files_are_named_and_counted(stream, folder, tmp_path):
    for i in range(3):
        truncate(folder / f"train/c1/{i}.jpg")
    (folder / "train/c0/0.jpg").write_text("not an image at all")
    (folder / "train/c0/1.jpg").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        open_images(config(folder, tmp_path / "cache", stream=stream))
    line = str(caught.value)
    assert "cannot read 5 images (" in line
    assert ", …)" in line
    assert line.count(".jpg: ") == 3
    assert "\n" not in line


def test_files_are_looked_at_once(folder, tmp_path, caplog):
    cfg = config(folder, tmp_path / "cache", stream=True)
    with caplog.at_level(logging.INFO):
        for expected in (True, False):
            caplog.clear()
            open_images(cfg)
            assert ("checking" in caplog.text) == expected


def test_an_image_with_bytes_after_its_end_is_whole(folder, tmp_path):
    with (folder / "train/c0/0.jpg").open("ab") as file:
        file.write(bytes(500))
    open_images(config(folder, tmp_path / "cache", stream=True))


def broken_tiny() -> dict:
    notes = "val/val_annotations.txt"

    def rewrite(old, new):
        return lambda r: (r / notes).write_text((r / notes).read_text().replace(old, new))

    return {
        "class folder": (lambda r: shutil.rmtree(r / "train/n0"), r"lacks 1 class \(n0\)"),
        "no notes": (lambda r: (r / notes).unlink(), "no val/val_annotations.txt; expected"),
        "unknown": (rewrite("\tn1\t", "\tn9\t"), r"2 lines \(2, 5\) without a file name"),
        "lost image": (lambda r: (r / "val/images/val_3.JPEG").unlink(), r"lacks 1 annotated"),
        "extra image": (rewrite("val_0.JPEG\tn2\t0\t0\t62\t62\n", ""), r"says nothing of 1 image"),
        "no images": (lambda r: shutil.rmtree(r / "train/n1/images"), "train/n1/images"),
    }


@pytest.mark.parametrize("name", broken_tiny())
def test_a_bad_tiny_imagenet_is_one_line(name, tmp_path):
    root = tiny_imagenet(tmp_path / "set")
    damage, line = broken_tiny()[name]
    damage(root)
    with pytest.raises(UserError, match=line):
        open_images(config(root, tmp_path / "cache", name="tiny_imagenet"))


def test_tiny_imagenet_without_a_network(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("<urlopen error name not known>")

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", offline)
    with pytest.raises(UserError, match=r"cannot get tiny_imagenet; tried cache .*name not known"):
        open_images(config(None, tmp_path / "cache", name="tiny_imagenet"))


def test_tiny_imagenet_is_downloaded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_and_extract_archive",
        lambda address, folder, **_: tiny_imagenet(Path(folder) / "tiny-imagenet-200"),
    )
    cfg = config(None, tmp_path / "cache", name="tiny_imagenet")
    assert open_images(cfg).source == "its public archive"
    assert open_images(cfg).source == "cache (from its public archive)"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"size": None}, "data.size: say to how many pixels"),
        ({"name": "mnist"}, "data.size: mnist has a fixed one; choose data=imagefolder"),
        ({"name": "mnist", "stream": True}, "data.stream=true: mnist is not an image folder"),
        ({"name": "nonsense", "size": None}, "unknown data set 'nonsense'"),
    ],
)
def test_options_that_do_not_fit_are_named(changes, line, folder, tmp_path):
    with pytest.raises(UserError, match=line):
        open_images(config(folder, tmp_path / "cache", **changes))


def test_a_folder_must_be_named(tmp_path):
    with pytest.raises(UserError, match=r"data\.root: imagefolder cannot be downloaded"):
        open_images(config(None, tmp_path))


def test_experiments_that_keep_their_images_in_memory_say_so(folder, tmp_path):
    with pytest.raises(UserError, match=r"keeps its images in memory; leave data\.stream out"):
        open_dataset(config(folder, tmp_path / "cache", stream=True))


def test_the_run_folder_carries_the_label(folder, tmp_path):
    from bnrepro.config import compose

    cfg = compose("inception", ["scale=smoke", "data=imagefolder", "data.label=toys"])
    assert folder_name(cfg, "toys").endswith("-toys")
