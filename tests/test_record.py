"""The run record: rows, resuming, locks, skipping, failing disks."""

import errno
import json
import os

import pytest
import torch

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.files import write_atomically
from bnrepro.run import checkpoint
from bnrepro.run.record import Record, is_finished, locked, read_rows


@pytest.fixture
def cfg():
    return compose("mnist", ["scale=smoke"])


def test_rows_come_back_as_logged(tmp_path, cfg):
    record = Record(tmp_path)
    record.begin(cfg, {"a": 1}, 0)
    record.log({"step": 1, "x": 0.1})
    record.log({"step": 2, "x": None})
    assert record.rows() == [{"step": 1, "x": 0.1}, {"step": 2, "x": None}]
    assert record.read_meta() == {"a": 1}


def test_a_number_that_is_not_finite_is_refused(tmp_path, cfg):
    record = Record(tmp_path)
    record.begin(cfg, {}, 0)
    with pytest.raises(ValueError):
        record.log({"step": 1, "x": float("nan")})


def test_beginning_at_a_checkpoint_drops_later_rows_and_half_lines(tmp_path, cfg):
    record = Record(tmp_path)
    record.begin(cfg, {}, 0)
    for step in (1, 2, 3):
        record.log({"step": step})
    with record.metrics.open("a") as file:
        file.write('{"step": 4, "x"')
    record.finish({"status": "interrupted", "config_hash": "h"})
    record.begin(cfg, {}, 2)
    assert [row["step"] for row in record.rows()] == [1, 2]
    assert not (tmp_path / "summary.json").exists()


def test_a_sweep_counts_cells(tmp_path, cfg):
    record = Record(tmp_path, "cell")
    record.begin(cfg, {}, 0)
    for cell in (1, 2, 2, 3):
        record.log({"cell": cell, "step": 100})
    record.begin(cfg, {}, 2)
    assert [row["cell"] for row in record.rows()] == [1, 2, 2]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"commit": "b", "dirty": False}, ("a b", True)),
        ({"commit": "a", "dirty": False}, ("a", True)),
        ({"commit": None, "dirty": None}, (None, None)),
    ],
)
def test_a_resumed_run_names_the_code_of_both_processes(tmp_path, cfg, now, expected):
    record = Record(tmp_path)
    record.begin(cfg, {"commit": "a", "dirty": True}, 0)
    record.begin(cfg, now, 2)
    assert (record.read_meta()["commit"], record.read_meta()["dirty"]) == expected
    record.begin(cfg, now, 0)  # anew
    assert record.read_meta() == now


def test_a_finished_run_is_skipped_and_another_configs_is_never_overwritten(tmp_path):
    record = Record(tmp_path)
    assert not is_finished(tmp_path, "h", force=False)
    record.finish({"status": "ok", "config_hash": "h"})
    assert is_finished(tmp_path, "h", force=False)
    assert not is_finished(tmp_path, "h", force=True)
    with pytest.raises(UserError, match=r"another config.*force=true"):
        is_finished(tmp_path, "other", force=False)


@pytest.mark.parametrize(("status", "skipped"), [("diverged", True), ("interrupted", False),
                                                  ("crashed", False)])  # fmt: skip
def test_only_results_are_final(tmp_path, status, skipped):
    Record(tmp_path).finish({"status": status, "config_hash": "h"})
    assert is_finished(tmp_path, "h", force=False) is skipped


def test_a_second_holder_gets_a_clear_error(tmp_path):
    with (
        locked([tmp_path / "a"]),
        pytest.raises(UserError, match="another process"),
        locked([tmp_path / "b", tmp_path / "a"]),
    ):
        pass
    with locked([tmp_path / "a"]):
        pass


def fail_with_enospc(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "fsync", fail_with_enospc)
    with pytest.raises(UserError, match=r"No space left.*run the same command again"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"config_hash": "h", "x": torch.ones(3)})
    monkeypatch.setattr(os, "fsync", fail_with_enospc)
    with pytest.raises(UserError, match="No space left"):
        checkpoint.save(path, {"config_hash": "h", "x": torch.zeros(3)})
    monkeypatch.undo()
    assert checkpoint.load(path, "h")["x"].tolist() == [1, 1, 1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_another_config_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"config_hash": "h"})
    with pytest.raises(UserError, match=r"another config.*force=true"):
        checkpoint.load(path, "other")


def test_a_broken_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a readable checkpoint"):
        checkpoint.load(path, "h")
    assert checkpoint.load(tmp_path / "none.pt", "h") is None


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), locked([tmp_path / "file" / "run"]):
        pass


def test_rows_of_a_missing_file(tmp_path):
    assert read_rows(tmp_path / "none.jsonl") == []
    (tmp_path / "m.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    assert read_rows(tmp_path / "m.jsonl") == [{"step": 1}]
