"""What the cache holds is used without writing and renewed when files change, by any path."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from bnrepro.config import ROOT, DataConfig
from bnrepro.data import open_images
from bnrepro.data.cache import ensure
from bnrepro.errors import UserError
from tests.data.conftest import serving
from tests.data.pictures import class_folders, config, tiny_imagenet
from tests.data.test_cifar import write_batches

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)
    shutil.rmtree(folder)


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom permissions bind and who owns nothing here."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["chmod", "-R", "a-w,a+rX", folder], check=True)
    with without_privileges():
        yield


Sets = dict[str, DataConfig]


@pytest.fixture
def sets(place, original, catalogue, monkeypatch) -> Sets:
    """A small set of every kind, which the first opening fetches or decodes into the cache."""
    cache = place / "cache"
    catalogue("mnist", serving(original))
    photos = class_folders(place / "photos", classes=2, train=2, test=1)
    batches = write_batches(place / "batches")
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    monkeypatch.setattr(CIFAR10, "train_list", [[name, batches[name]] for name in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[names[5], batches[names[5]]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": batches["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "download", lambda self: write_batches(Path(self.root)))
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


KINDS = ("mnist", "cifar10", "tiny_imagenet", "imagefolder", "streamed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_complete_cache_of_another_user_on_a_read_only_disk_is_used(sets, place, kind):
    first = open_images(sets[kind])
    for lock in (place / "cache").glob("*.lock"):
        lock.unlink()
    with read_only(place):
        again = open_images(sets[kind])
    assert again.checksum == first.checksum


@pytest.mark.parametrize("kind", KINDS)
def test_an_incomplete_cache_on_a_read_only_disk_is_one_line(sets, place, kind):
    for cache in (place / "cache", place / "cache/deep"):
        sets[kind].cache = str(cache)
        with (
            read_only(place),
            pytest.raises(UserError, match=rf"cannot write the data cache {cache} \(.* denied\)"),
        ):
            open_images(sets[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_folders_that_may_not_be_entered_are_one_line(sets, place, kind):
    open_images(sets[kind])
    closed = place / ("photos/train/c1" if kind in ("imagefolder", "streamed") else "cache")
    closed.chmod(0)
    with (
        without_privileges(),
        pytest.raises(UserError, match=rf"{closed}.*: cannot be read \(Permission denied\)"),
    ):
        open_images(sets[kind])


def test_the_lock_of_a_shared_cache_is_everyone_s(tmp_path):
    before = os.umask(0o077)
    try:
        ensure(tmp_path / "thing", (tmp_path / "thing").touch)
    finally:
        os.umask(before)
    assert (tmp_path / ".thing.lock").stat().st_mode & 0o666 == 0o666


def test_a_disk_without_locks_is_one_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError("this file system has no flock")

    monkeypatch.setattr("bnrepro.data.cache.FileLock", refuse)
    with pytest.raises(UserError, match=r"cannot write the data cache .*has no flock\); make it"):
        ensure(tmp_path / "thing", (tmp_path / "thing").touch)


def paint(root: Path, colour: tuple[int, int, int], time: int) -> None:
    """Two classes of one uncompressed image in each part: files of equal size for any colour."""
    for part in ("train", "val"):
        for c in ("cat", "dog"):
            path = root / part / c / "0.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), colour).save(path, compress_level=0)
            os.utime(path, (time, time))


def test_files_replaced_by_others_of_the_same_size_are_decoded_anew(tmp_path):
    cfg = config(tmp_path / "set", tmp_path / "cache")
    found = []
    for time, shade in enumerate((0, 255, 0)):
        paint(tmp_path / "set", (shade,) * 3, time)
        data = open_images(cfg)
        assert data.train_images.unique().tolist() == [shade]
        found.append(data.checksum)
    assert found[0] == found[2] != found[1]


def test_a_streamed_set_is_looked_at_again_when_its_files_change(tmp_path):
    cfg = config(tmp_path / "set", tmp_path / "cache", stream=True)
    paint(tmp_path / "set", (0, 0, 0), 0)
    before = open_images(cfg)
    path = tmp_path / "set/val/dog/0.png"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match=r"cannot read 1 image \(val/dog/0\.png: no image"):
        open_images(cfg)
    paint(tmp_path / "set", (9, 9, 9), 2)
    assert open_images(cfg).checksum == before.checksum  # of names and sizes, as ever


def test_recorded_checksums_do_not_follow_times_of_change(tmp_path):
    for stream in (False, True):
        found = set()
        for time in (1, 2):
            paint(tmp_path / "set", (7, 8, 9), time)
            found.add(open_images(config(tmp_path / "set", tmp_path, stream=stream)).checksum)
        assert len(found) == 1


def test_checksums_of_image_folders_are_those_of_earlier_records(tmp_path):
    paint(tmp_path / "set", (7, 8, 9), 1)
    streamed = open_images(config(tmp_path / "set", tmp_path, stream=True))
    assert streamed.checksum == "570475d2b7458d61"
    assert open_images(config(tmp_path / "set", tmp_path)).checksum == "7075801bc4d98203"


@pytest.mark.parametrize("kind", KINDS)
def test_the_home_folder_is_expanded_in_every_path(sets, place, kind, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.chdir(place)
    cfg = sets[kind]
    cfg.cache = "~/home cache"
    if cfg.root is not None:
        cfg.root = "~/photos"
    open_images(cfg)
    assert any((place / "home cache").iterdir())
    assert not (place / "~").exists()


ODD = ["фото", "[1]*?", "a b", "#%=&;$HOME", "'\"", "~x", "-dash", "a\nb", os.fsdecode(b"\xff")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ODD)
def test_paths_of_odd_characters_work(sets, place, kind, name):
    cfg = sets[kind]
    cfg.cache = str(place / name / "cache")
    if cfg.root is not None:
        cfg.root = str(shutil.copytree(place / "photos", place / name / "photos"))
    assert open_images(cfg).checksum == open_images(cfg).checksum
    assert any((place / name / "cache").iterdir())


BAD_ROOTS = {
    "x" * 300: r"cannot be read \(File name too long\)",
    "file": "a file; name a folder",
    "file/photos": "no such folder",
    "none": "no such folder",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("root", BAD_ROOTS)
def test_a_root_that_is_no_folder_is_one_line(sets, place, kind, root):
    (place / "file").touch()
    sets[kind].root = str(place / root)
    with pytest.raises(UserError, match=BAD_ROOTS[root]) as caught:
        open_images(sets[kind])
    assert str(place / root) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_whose_path_is_too_long_is_one_line(sets, place, kind):
    sets[kind].cache = str(place / ("x" * 300))
    with pytest.raises(UserError, match="File name too long") as caught:
        open_images(sets[kind])
    assert "\n" not in str(caught.value)


READER = """
import sys
from dataclasses import replace
from bnrepro.config import DataConfig
from bnrepro.data import load, open_images, synthetic
from bnrepro.data.registry import REGISTRY, Entry
from bnrepro.data.sources import Source

root, cache = sys.argv[1:]
for _ in range(2):
    print(open_images(DataConfig(name="tiny_imagenet", root=root, cache=cache)).checksum)

def read(name, folder, source, remedy):
    return replace(synthetic(), source=source)

REGISTRY["noted"] = Entry("noted", None, read, holds="x", sources=(Source("x", None),))
print(ascii(load("noted", cache=cache).source))
"""


def test_text_and_file_names_are_utf8_whatever_the_locale(tmp_path):
    root, cache = tiny_imagenet(tmp_path / "сеть", classes=2), tmp_path / "кэш"
    for old, new in (("n0", "ñ0"), ("n1", "х1")):
        shutil.move(root / "train" / old, root / "train" / new)
        for name in ("wnids.txt", "val/val_annotations.txt"):
            text = (root / name).read_text(encoding="utf-8").replace(old, new)
            (root / name).write_text(text, encoding="utf-8")
    (cache / "noted").mkdir(parents=True)
    (cache / "noted/source.txt").write_text("Müller\n", encoding="utf-8")
    cfg = DataConfig(name="tiny_imagenet", root=str(root), cache=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", READER, root, cache],
        env=os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    checksum = open_images(cfg).checksum
    assert done.stdout.split("\n")[:3] == [checksum, checksum, r"'cache (from M\xfcller)'"]


@pytest.mark.parametrize("kind", ["notes", "classes", "source"])
def test_text_that_is_not_utf8_is_one_line_that_names_the_file(sets, place, kind):
    cfg = sets["mnist" if kind == "source" else "tiny_imagenet"]
    open_images(cfg)
    folder = place / "cache" / ("mnist" if kind == "source" else "tiny-imagenet-200")
    names = {"notes": "val/val_annotations.txt", "classes": "wnids.txt", "source": "source.txt"}
    path = folder / names[kind]
    path.write_bytes(path.read_bytes() + b"\xff\n")
    with pytest.raises(UserError, match=rf"{path}: not text in UTF-8"):
        open_images(cfg)


LABELS = {
    "": "data.label=",
    "a/b": "data.label=a/b: it names folders and files",
    "..": "data.label=..: ",
    ".hidden": "data.label=.hidden: ",
    "-dash": "data.label=-dash: ",
    "a b": "data.label=a b: ",
    "a\nb": r"data.label='a\nb': ",
    "x*": "data.label=x*: ",
    "x" * 61: "at most 60 bytes",
    "ф" * 31: "at most 60 bytes",
    "x" * 5000: "at most 60 bytes",
    "mnist": "data.label=mnist: another data set's name",
}


@pytest.mark.parametrize("label", LABELS, ids=range(len(LABELS)))
def test_a_label_that_names_no_folder_is_one_line(tmp_path, label):
    cfg = config(class_folders(tmp_path / "set"), tmp_path / "cache", label=label)
    with pytest.raises(UserError) as caught:
        open_images(cfg)
    line = str(caught.value)
    assert LABELS[label] in line
    assert "\n" not in line
    assert len(line) < 250


@pytest.mark.parametrize("label", ["x" * 60, "ф" * 30, "cifar10-jpeg", "a_b.c+1", "imagefolder"])
def test_a_label_of_letters_digits_and_signs_is_recorded(tmp_path, label):
    cfg = config(class_folders(tmp_path / "set"), tmp_path / "cache", label=label)
    assert open_images(cfg).identity()["name"] == label


@pytest.mark.parametrize("size", [0, -1, 4097, 10**9])
def test_an_absurd_size_is_one_line(tmp_path, size):
    with pytest.raises(UserError, match=rf"data\.size={size}: choose 1 to 4096 pixels"):
        open_images(config(class_folders(tmp_path / "set"), tmp_path / "cache", size=size))
