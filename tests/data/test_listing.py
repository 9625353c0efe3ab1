"""Image folders hold what torchvision reads from them; what is left out is named in one line."""

import os
import shutil
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from bnrepro.data import open_images
from bnrepro.data.listing import IMAGES, list_images, some
from bnrepro.errors import UserError
from tests.data.pictures import class_folders, config, tiny_imagenet, write_image


@pytest.fixture
def root(tmp_path) -> Path:
    return class_folders(tmp_path / "set", classes=2, train=2, test=1)


def training_files(root: Path) -> set[str]:
    data = open_images(config(root, root.parent / "cache", stream=True))
    return {data.train.name(number) for number in range(len(data.train))}


PLAIN = {f"train/c{c}/{i}.jpg" for c in (0, 1) for i in (0, 1)}


def test_endings_are_torchvision_s():
    assert IMAGES == IMG_EXTENSIONS


def test_files_are_those_that_torchvision_reads(root, tmp_path):
    for name in ("deep/er/x.jpg", "folder.jpg/y.JPEG", "UPPER.JPG", "z.gif", "notes.txt"):
        write_image(root / "train/c0" / name)
    write_image(tmp_path / "elsewhere/linked.jpg")
    (root / "train/c1/link.jpg").symlink_to(tmp_path / "elsewhere/linked.jpg")
    (root / "train/c1/folder").symlink_to(tmp_path / "elsewhere")
    (root / "train/c2").symlink_to(root / "train/c1")
    shutil.copytree(root / "val/c1", root / "val/c2")
    expected = {os.path.relpath(path, root) for path, _ in ImageFolder(root / "train").samples}
    assert training_files(root) == expected
    assert {"train/c0/deep/er/x.jpg", "train/c0/folder.jpg/y.JPEG", "train/c2/0.jpg"} < expected
    assert {"train/c1/link.jpg", "train/c1/folder/linked.jpg"} < expected


def test_nothing_is_said_of_a_plain_set(root, tmp_path, caplog):
    assert training_files(root) == PLAIN
    tiny = tiny_imagenet(tmp_path / "tiny")
    (tiny / "train/n0/n0_boxes.txt").touch()
    (tiny / "words.txt").touch()
    open_images(config(tiny, tmp_path / "cache", name="tiny_imagenet", stream=True))
    assert "left out" not in caplog.text


LOOPS = {
    "itself": ("train/c0/loop.jpg", "loop.jpg"),
    "a pair": ("train/c0/loop", "loop2"),
    "its folder": ("train/c0/loop", "."),
    "the part": ("train/c0/loop", ".."),
    "the set": ("train/c0/loop", "../.."),
    "the disk": ("train/c0/loop", "/"),
    "a class of the part": ("train/loop", "."),
    "a class of the set": ("train/loop", ".."),
    "a class of itself": ("train/loop", "loop"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_of_links_is_left_out_and_named(root, caplog, name, stream):
    link, target = LOOPS[name]
    (root / link).symlink_to(target)
    if name == "a pair":
        (root / "train/c0/loop2").symlink_to("loop")
    data = open_images(config(root, root.parent / "cache", stream=stream))
    assert data.identity()["sizes"] == {"train": 4, "test": 2}
    assert data.num_classes == 2
    assert "looping or repeated link" in caplog.text
    assert link in caplog.text


def test_folders_that_link_to_each_other_are_read_once_each(root):
    """Every path through such links has another name, and there are exponentially many."""
    folders = [root / f"train/c0/f{i}" for i in range(8)]
    for i, folder in enumerate(folders):
        write_image(folder / f"{i}.jpg")
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    assert training_files(root) == PLAIN | {f"train/c0/f{i}/{i}.jpg" for i in range(8)}


def test_what_is_left_out_is_one_line_with_counts_and_names(root, caplog):
    for name in ("a.gif", "b.txt", "c.avif", "d.heic"):
        (root / "train/c0" / name).touch()
    (root / "train/c1/gone.jpg").symlink_to("nowhere")
    (root / "train/c1/gone2").symlink_to("0.jpg/below-a-file")
    (root / "val/c1/empty.jpg").mkdir()
    (root / "val/c1/._0.jpg").touch()
    (root / "val/c1/.DS_Store").touch()
    (root / "train/.ipynb_checkpoints").mkdir()
    (root / "train/loose.png").touch()
    os.mkfifo(root / "train/c1/pipe.png")
    (root / "test/c0").mkdir(parents=True)
    assert training_files(root) == PLAIN
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == (
        f"{root}: left out"
        " 2 broken links (train/c1/gone.jpg, train/c1/gone2),"
        " 1 empty folder (val/c1/empty.jpg),"
        " 1 hidden folder (train/.ipynb_checkpoints),"
        " 1 hidden image (val/c1/._0.jpg),"
        " 1 loose image (train/loose.png),"
        " 1 special file (train/c1/pipe.png),"
        " 4 unsupported files (train/c0/a.gif, train/c0/b.txt, train/c0/c.avif, …),"
        " 1 unused folder (test); images end in"
        " .jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp"
    )


def test_of_many_processes_one_says_what_is_left_out(root, caplog, monkeypatch):
    (root / "train/c0/notes.txt").touch()
    monkeypatch.setenv("RANK", "1")
    training_files(root)
    assert "left out" not in caplog.text


def test_a_single_class_is_refused_in_one_line(root, tmp_path):
    for part in ("train", "val"):
        shutil.rmtree(root / part / "c1")
    with pytest.raises(UserError, match=r"set: only 1 class \(c0\); at least 2 are needed"):
        open_images(config(root, tmp_path / "cache"))


def test_files_come_by_name_in_the_order_of_their_bytes(tmp_path):
    for name in ("b.jpg", "a/z.jpg", "B.jpg", "é.jpg", "a.jpg"):
        write_image(tmp_path / "c" / name)
    left: list = []
    names = [found.name for found in list_images(tmp_path, "c", left)]
    assert names == ["c/B.jpg", "c/a.jpg", "c/a/z.jpg", "c/b.jpg", "c/é.jpg"]
    assert left == []


def test_names_that_would_break_the_line_are_escaped():
    assert some(["a\nb", "\udcff", "é x"], "image") == r"3 images (a\nb, \udcff, é x)"
