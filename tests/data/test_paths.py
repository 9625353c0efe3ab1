"""Paths, texts, labels and sizes of every kind are used, or named in one line."""

import os
import shutil
import subprocess
import sys

import pytest

from bnrepro import ROOT
from bnrepro.config import DataConfig
from bnrepro.data import open_images
from bnrepro.errors import UserError
from tests.data.conftest import KINDS
from tests.data.pictures import class_folders, config, tiny_imagenet


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
@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
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
@pytest.mark.parametrize("root", BAD_ROOTS, ids=range(len(BAD_ROOTS)))
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


@pytest.mark.thorough
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
