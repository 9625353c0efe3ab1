"""What the cache holds is used without writing it, and renewed when files change."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from bnrepro.data import open_images
from bnrepro.data.cache import ensure
from bnrepro.errors import UserError
from tests.data.conftest import KINDS
from tests.data.pictures import config

NOBODY = 65534


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
