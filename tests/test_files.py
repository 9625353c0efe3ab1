"""Files are written whole or not at all, and text is UTF-8 whatever the locale."""

import os
import stat

import pytest

from bnrepro.errors import UserError
from bnrepro.files import expand, read_text, reading, replacing, write_atomically


def test_text_and_bytes_come_back(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    write_atomically(path, "naïve\nγ")
    assert path.read_bytes() == "naïve\nγ".encode()
    assert read_text(path) == "naïve\nγ"
    write_atomically(path, b"\0\xff")
    assert path.read_bytes() == b"\0\xff"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_failed_write_leaves_the_old_contents_and_no_temporary(tmp_path, error):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def write_half():
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    path, events = tmp_path / "file", []

    def sync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        events.append((kind, path.exists()))

    monkeypatch.setattr("os.fsync", sync)
    write_atomically(path, "text")
    assert events == [("file", False), ("folder", True)]


def test_a_disk_that_syncs_no_folders_still_takes_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("os.open", lambda *_: (_ for _ in ()).throw(OSError(22, "Invalid")))
    write_atomically(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_text_with_a_byte_order_mark_is_read_without_it(tmp_path):
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfn01\r\nn02")
    assert read_text(tmp_path / "file") == "n01\nn02"


def test_other_contents_than_utf8_are_one_line_that_names_the_file(tmp_path):
    (tmp_path / "file").write_bytes(b"na\xefve")
    with pytest.raises(UserError, match=r"file: not text in UTF-8 \(byte 2\); restore or delete"):
        read_text(tmp_path / "file")


def test_what_the_disk_refuses_is_one_line_that_names_the_file(tmp_path):
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=rf"{path}: cannot be read \({reason}"), reading(path):
            path.read_bytes()


def test_the_home_folder_is_expanded_at_the_start_of_a_path_alone(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(expand("~/photos")) == "/home/someone/photos"
    assert str(expand("/data/~/x~")) == "/data/~/x~"
    assert str(expand("~no-such-user/photos")) == "~no-such-user/photos"
