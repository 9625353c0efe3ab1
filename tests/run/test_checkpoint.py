"""Checkpoints: whole or absent, of this config or an error."""

import errno
import os

import pytest
import torch

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.run import checkpoint
from bnrepro.run.record import Record
from tests.run.damage import CONTENTS, damage


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"config_hash": "h", "x": torch.arange(3.0)})
    return path


@pytest.fixture
def record(tmp_path):
    """A record with a row, which is lost without its checkpoint."""
    record = Record(tmp_path / "seed-0")
    record.begin(compose("mnist", ["scale=smoke"]), {})
    record.log({"step": 1})
    return record


def load(path, *records, force=False):
    return checkpoint.load(path, "h", records, force)


def test_a_state_comes_back_and_pytorch_reads_the_file_too(path):
    assert load(path)["x"].tolist() == [0, 1, 2]
    assert torch.load(path, weights_only=True)["x"].tolist() == [0, 1, 2]
    assert load(path, force=True) is None
    assert load(path.with_name("none.pt")) is None


@pytest.mark.parametrize("change", CONTENTS)
def test_a_damaged_checkpoint_is_none_and_one_line(change, path, record, caplog):
    damage(path, CONTENTS[change])
    assert load(path, record) is None
    assert caplog.text.count("\n") == 1
    assert f"{path}: damaged or missing" in caplog.text
    assert "begins anew" in caplog.text


def test_every_flipped_bit_is_noticed(path):
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert load(path) is None, place


def test_a_state_that_this_program_did_not_save_is_damaged(path, record):
    torch.save({"config_hash": "h", "x": torch.zeros(3)}, path)
    assert load(path, record) is None


def test_nothing_is_said_where_no_row_is_lost(path, record, caplog):
    path.write_bytes(b"")
    record.metrics.write_bytes(b"")
    assert load(path, record) is None
    assert not caplog.text


def test_a_checkpoint_of_another_config_is_refused(path):
    with pytest.raises(UserError, match=r"another config.*force=true"):
        checkpoint.load(path, "other", [], force=False)
    assert checkpoint.load(path, "other", [], force=True) is None


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.pt.part"])
def test_a_folder_in_its_place_is_one_line_and_force_removes_it(name, path):
    path.unlink()
    (path.parent / name / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"{name}: .*force=true"):
        load(path)
    assert load(path, force=True) is None
    checkpoint.save(path, {"config_hash": "h"})
    assert load(path) == {"config_hash": "h"}


def test_a_full_disk_leaves_the_old_checkpoint(path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="No space left"):
        checkpoint.save(path, {"config_hash": "h", "x": torch.zeros(3)})
    monkeypatch.undo()
    assert load(path)["x"].tolist() == [0, 1, 2]
    assert list(path.parent.iterdir()) == [path]
