"""The run record: rows and marks, what is whole, what is finished, failing disks."""

import errno
import json
import os

import pytest

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.files import write_atomically
from bnrepro.run.provenance import continued
from bnrepro.run.record import (
    Record,
    has_result,
    is_finished,
    read_config,
    read_meta,
    read_rows,
    read_summary,
    seed_folders,
)
from tests.run.damage import CONTENTS, LINES, damage, resummarised

OK = {"status": "ok", "config_hash": "h"}


@pytest.fixture
def cfg():
    return compose("mnist", ["scale=smoke"])


@pytest.fixture
def finished(tmp_path, cfg):
    """The folder of a finished run of three rows."""
    record = Record(tmp_path / "seed-0")
    record.begin(cfg, {"commit": "a"})
    for step in (1, 2, 3):
        record.log({"step": step, "x": step / 10})
    record.finish(OK)
    return record.folder


def test_rows_come_back_as_logged(tmp_path, cfg):
    record = Record(tmp_path)
    record.begin(cfg, {"a": 1})
    record.log({"step": 1, "x": 0.1})
    record.log({"step": 2, "x": None})
    assert record.rows() == [{"step": 1, "x": 0.1}, {"step": 2, "x": None}]
    assert read_meta(tmp_path) == {"a": 1}


def test_a_number_that_is_not_finite_is_refused(tmp_path, cfg):
    record = Record(tmp_path)
    record.begin(cfg, {})
    with pytest.raises(ValueError):
        record.log({"step": 1, "x": float("nan")})


def test_beginning_at_a_mark_drops_later_rows_and_half_lines(tmp_path, cfg):
    record = Record(tmp_path)
    record.begin(cfg, {})
    record.log({"step": 1})
    record.log({"step": 2})
    mark = record.mark()
    record.log({"step": 3})
    with record.metrics.open("a") as file:
        file.write('{"step": 4, "x"')
    record.finish({"status": "interrupted", "config_hash": "h"})
    again = Record(tmp_path)
    assert again.whole([mark]) == 1
    again.begin(cfg, {}, mark)
    assert [row["step"] for row in again.rows()] == [1, 2]
    assert again.mark() == mark
    assert not (tmp_path / "summary.json").exists()


def test_marks_are_kept_up_to_the_first_damaged_row(tmp_path, cfg, caplog):
    record = Record(tmp_path)
    record.begin(cfg, {})
    marks = []
    for cell in (1, 2, 3):
        record.log({"cell": cell, "x": 0})
        record.log({"cell": cell, "x": 1})
        marks.append(record.mark())
    assert record.whole(marks) == 3
    first, second, *rest = record.metrics.read_bytes().splitlines(keepends=True)
    record.metrics.write_bytes(b"".join([first, second, *rest[1:]]))
    assert record.whole(marks) == 1
    assert caplog.text.count("metrics.jsonl") == 1
    assert "goes on after row 2" in caplog.text


def test_rows_are_durable_before_a_mark_is_given(tmp_path, cfg, monkeypatch):
    record = Record(tmp_path)
    record.begin(cfg, {})
    record.log({"step": 1})
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    record.mark()
    assert synced == [record.metrics.stat().st_ino]


META = {"device": "cpu", "hardware": "a CPU", "threads": 1, "versions": {"torch": "2"}}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"commit": "b", "dirty": False}, ("a b", True)),
        ({"commit": "a", "dirty": False}, ("a", True)),
        ({"commit": None, "dirty": None}, (None, None)),
    ],
)
def test_a_resumed_run_names_the_code_of_both_processes(tmp_path, now, expected, caplog):
    both = continued(tmp_path, META | {"commit": "a", "dirty": True}, META | now)
    assert (both["commit"], both["dirty"]) == expected
    assert not caplog.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threads": 2}, "threads 2 (before: 1)"),
        ({"device": "cuda"}, "device cuda (before: cpu)"),
        ({"hardware": "another"}, "hardware another (before: a CPU)"),
        ({"versions": {"torch": "3"}}, "torch 3 (before: 2)"),
    ],
)
def test_a_line_says_what_may_change_the_last_digits(tmp_path, change, words, caplog):
    code = {"commit": "a", "dirty": False}
    continued(tmp_path, META | code, META | code | change)
    assert caplog.text.count("\n") == 1
    assert words in caplog.text


def test_a_finished_run_is_skipped_and_another_configs_is_never_overwritten(finished):
    assert not is_finished(finished.parent, "h", force=False)
    assert is_finished(finished, "h", force=False)
    assert not is_finished(finished, "h", force=True)
    with pytest.raises(UserError, match=r"another config.*force=true"):
        is_finished(finished, "other", force=False)


@pytest.mark.parametrize(("status", "skipped"), [("diverged", True), ("interrupted", False),
                                                  ("crashed", False)])  # fmt: skip
def test_only_results_are_final(tmp_path, status, skipped):
    Record(tmp_path).finish({"status": status, "config_hash": "h"})
    assert is_finished(tmp_path, "h", force=False) is skipped


FILES = [(name, change) for name in ("meta.json", "config.yaml") for change in CONTENTS]
ROWS = [("metrics.jsonl", change) for change in CONTENTS | LINES]


@pytest.mark.parametrize(("name", "change"), [*FILES, *ROWS])
def test_a_damaged_finished_run_is_not_finished(name, change, finished, caplog):
    damage(finished / name, (CONTENTS | LINES)[change])
    assert not is_finished(finished, "h", force=False)
    assert not has_result(finished)
    assert caplog.text.count("\n") == 1
    assert f"{finished / name}: damaged" in caplog.text


@pytest.mark.parametrize("change", CONTENTS)
def test_a_damaged_summary_is_one_line_and_no_result(change, finished, caplog):
    path = finished / "summary.json"
    damage(path, CONTENTS[change])
    if change == "removed":
        assert not is_finished(finished, "h", force=False)
    else:
        with pytest.raises(UserError, match=r"summary\.json: damaged .*force=true") as error:
            is_finished(finished, "h", force=False)
        assert "\n" not in str(error.value)
    assert not is_finished(finished, "h", force=True)
    assert not has_result(finished)


@pytest.mark.parametrize("missing", ["status", "config_hash", "best"])
def test_a_summary_that_lacks_a_key_is_damaged(missing, finished):
    assert has_result(finished)
    assert not has_result(finished, best=dict)
    resummarised(finished, best={})
    assert has_result(finished, best=dict)
    resummarised(finished, **{missing: None})
    with pytest.raises(UserError, match=f"no valid {missing}"):
        read_summary(finished, best=dict)
    resummarised(finished, **{missing: 3})
    with pytest.raises(UserError, match=f"no valid {missing}"):
        read_summary(finished, best=dict)


def test_every_flipped_bit_of_a_summary_is_noticed(finished):
    path = finished / "summary.json"
    content = path.read_bytes()
    named = range(content.index(b'"digest'), content.index(b'"digest') + 8)  # as of an old record
    for place in (i for i in range(len(content) - 1) if i not in named):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(UserError, match="damaged"):
            read_summary(finished)


def test_a_finished_run_of_before_digests_were_kept_is_finished(finished):
    (finished / "summary.json").write_text(json.dumps(OK))
    assert is_finished(finished, "h", force=False)
    assert has_result(finished)


def test_what_cannot_be_read_is_no_result_and_one_line(finished, caplog):
    (finished / "meta.json").unlink()
    (finished / "meta.json").mkdir()
    assert not has_result(finished)
    assert "meta.json: cannot be read" in caplog.text


def test_a_run_s_folder_is_called_by_its_seed_and_nothing_else(tmp_path, caplog):
    for name in ("seed-10", "seed-2", "seed-", "seed-x", "seed-02", "seed-2-copy", "seed--1"):
        (tmp_path / name).mkdir()
    (tmp_path / "seed-3").write_text("")
    assert list(seed_folders(tmp_path)) == [2, 10]
    assert caplog.text.count("left out") == 6


def test_a_line_that_is_no_row_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_rows(path) == []
    path.write_text('{"step": 1}\n{"step": 2')
    assert read_rows(path) == [{"step": 1}]
    for line in (b"{oops", b"", b"\xff", b"3", b"[" * 100_000, b'{"step":' + b"1" * 6000 + b"}"):
        path.write_bytes(b'{"step": 1}\n' + line + b"\n")
        with pytest.raises(UserError, match=r"metrics\.jsonl: damaged \(line 2: "):
            read_rows(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"\xff", b"a: [", b"[" * 10_000])
def test_a_damaged_config_is_one_line(content, tmp_path):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml: damaged") as error:
        read_config(tmp_path)
    assert "\n" not in str(error.value)


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


def test_the_peak_of_memory_counts_in_megabytes(tmp_path):
    block = b"x" * 400_000_000
    record = Record(tmp_path)
    record.finish({"status": "ok"})
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(block) / 1e6 < summary["peak_mb"] < 100_000
