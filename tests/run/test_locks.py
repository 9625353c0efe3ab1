"""Locks: one process a run, who holds it, and what stands in the way."""

import os
import platform
import signal
import subprocess
import sys

import pytest

from bnrepro import ROOT
from bnrepro.errors import UserError
from bnrepro.run.locks import FILES, locked

HOLD = """
import sys, time
from pathlib import Path
from bnrepro.run.locks import locked
with locked([Path(sys.argv[1])]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_gets_a_clear_error(tmp_path):
    with (
        locked([tmp_path / "a"]),
        pytest.raises(UserError, match=rf"another process.*pid {os.getpid()} on {platform.node()}"),
        locked([tmp_path / "b", tmp_path / "a"]),
    ):
        pass
    with locked([tmp_path / "a"]):
        pass


@pytest.mark.parametrize(("first", "second"), [("real", "link"), ("link", "real")])
def test_one_folder_by_two_names_has_one_lock(first, second, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with (
        locked([tmp_path / first / "seed-0"]),
        pytest.raises(UserError, match=f"{second}/seed-0: another process .*pid {os.getpid()}"),
        locked([tmp_path / second / "seed-0"]),
    ):
        pass


@pytest.mark.parametrize("force", [False, True])
def test_a_link_to_nothing_in_place_of_a_folder_is_one_line(force, tmp_path):
    (tmp_path / "link").symlink_to("nothing")
    with (
        pytest.raises(UserError, match="link/seed-0: cannot be written"),
        locked([tmp_path / "link/seed-0"], force),
    ):
        pass


def test_the_holder_is_named_and_its_lock_ends_with_it(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    for _ in range(2):  # the first refusal leaves the note as it is
        with pytest.raises(UserError, match=f"pid {holder.pid} on"), locked([tmp_path]):
            pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked([tmp_path]):
        assert (tmp_path / "lock").read_text().split()[0] == str(os.getpid())


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"x" * 1000, b"1 2 3 4"])
def test_a_damaged_note_of_the_holder_is_no_obstacle(note, tmp_path):
    with locked([tmp_path]):
        (tmp_path / "lock").write_bytes(note)
        with pytest.raises(UserError, match="another process"), locked([tmp_path]):
            pass
    with locked([tmp_path]):
        pass


@pytest.mark.parametrize("name", [*FILES, *(f"{name}.part" for name in FILES)])
def test_a_folder_where_a_run_has_a_file_is_one_line_and_force_removes_it(name, tmp_path):
    (tmp_path / name / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"{name}: .*force=true"), locked([tmp_path]):
        pass
    with locked([tmp_path], force=True):
        assert not (tmp_path / name).is_dir()


def test_a_file_in_place_of_the_folder_is_one_line_and_force_removes_it(tmp_path):
    (tmp_path / "seed-0").write_text("")
    with pytest.raises(UserError, match="seed-0: cannot be written"), locked([tmp_path / "seed-0"]):
        pass
    with locked([tmp_path / "seed-0"], force=True):
        assert (tmp_path / "seed-0").is_dir()


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), locked([tmp_path / "file" / "run"]):
        pass


def test_a_folder_that_nobody_can_change_needs_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with locked([tmp_path]):
        assert not list(tmp_path.iterdir())
