"""Records on disk, read as they grow, whatever was left of them."""

import dataclasses
import json
import os
import time

import pytest

from bnrepro.config.rules import rule_of
from bnrepro.dashboard.columns import Columns, flat
from bnrepro.dashboard.data import Runs, committed, gathered
from bnrepro.dashboard.records import FollowedRecord, find_records
from bnrepro.experiment import find
from tests.dashboard.results import append, ended, rows, write_run


def read(folder, place=("mnist", "small", "bn", "seed-0")):
    record = FollowedRecord(folder, place)
    record.read()
    return record


def test_a_row_is_flat_with_means_over_units_and_no_histogram():
    row = flat(rows(3)[-1])
    assert row["grad_norm_hidden1"] == pytest.approx(1 / 3)
    assert row["p15_training_hidden1"] == -1.15
    assert row["median_training_hidden1"] == 0.25
    assert row["p85_training_hidden1"] == 1.25
    assert row["spread_training_hidden1"] == 2.4
    assert "histogram" not in row


def test_columns_have_a_gap_where_a_row_lacks_them():
    columns = Columns([{"step": 1, "a": 2.0}, {"step": 2, "name": "x"}, {"step": 3, "a": None}])
    columns.extend([{"step": 4, "a": 5, "name": "y"}])
    assert list(columns.data["step"]) == [1, 2, 3, 4]
    assert columns.data["name"] == ["", "x", "", "y"]
    assert [str(v) for v in columns.data["a"]] == ["2.0", "nan", "nan", "5.0"]
    assert (columns.last("a"), columns.numbers()) == (5.0, ["step", "a"])


def test_only_what_was_appended_is_read_again(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(5))
    record = read(folder)
    assert record.tables["curves"].length == 5
    assert not record.read()
    append(folder, rows(2, start=5))
    assert record.read()
    assert [row["step"] for row in record.new["curves"]] == [300, 350]
    assert record.tables["curves"].length == 7


def test_a_file_that_took_the_place_of_another_is_read_from_its_start(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(5))
    record = read(folder)
    text = "".join(json.dumps(row) + "\n" for row in rows(9))
    (folder / "new").write_text(text)
    (folder / "new").replace(folder / "metrics.jsonl")
    record.read()
    assert record.began_anew
    assert record.tables["curves"].length == 9


@pytest.mark.parametrize(
    ("line", "kept"),
    [(b"\x00\x01\n", 3), (b"[1, 2]\n", 3), (b"{}{}\n", 3), (b'"text"\n', 3), (b'{"step": 200', 3)],
    ids=str,
)
def test_rows_before_a_broken_line_are_kept(tmp_path, line, kept):
    folder = write_run(tmp_path, "bn", 0, rows(3))
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(line)
    if line.endswith(b"\n"):
        append(folder, rows(1, start=4))
    record = read(folder)
    assert record.tables["curves"].length == kept
    assert ("line 4 is no row" in record.problem) == line.endswith(b"\n")


@pytest.mark.parametrize("name", ["config.yaml", "meta.json", "summary.json"])
@pytest.mark.parametrize("content", ["", "{", "[1]", "a: [", "\x00", "null", "1: 2"])
def test_a_broken_file_beside_the_rows_is_no_error(tmp_path, name, content):
    folder = write_run(tmp_path, "bn", 0, rows(3), summary=ended())
    (folder / name).write_text(content)
    line = read(folder).describe()
    assert line["done"] == 150
    assert line["status"] in ("ok", "unreadable")
    json.dumps(line, allow_nan=False)


@pytest.mark.parametrize("name", ["config.yaml", "meta.json"])
def test_a_record_whose_file_was_mended_is_well_again(tmp_path, name):
    folder = write_run(tmp_path, "bn", 0, rows(3))
    path, whole = folder / name, (folder / name).read_text()
    path.write_text("{")
    record = read(folder)
    assert record.status() == "unreadable"
    assert f"{name} cannot be read" in record.problem
    path.write_text(whole)
    record.read()
    assert (record.status(), record.problem, record.total) == ("running", "", 3000)
    assert record.settings["optim.lr"] == 0.1


def test_a_file_that_began_anew_does_not_hide_that_another_is_broken(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(3))
    (folder / "meta.json").write_text("{")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("no row\n")
    record = read(folder)
    assert "metrics.jsonl: line 4 is no row" in record.problem
    (folder / "new").write_text(json.dumps(rows(1)[0]) + "\n")
    (folder / "new").replace(folder / "metrics.jsonl")
    record.read()
    assert "metrics.jsonl" not in record.problem
    assert "meta.json cannot be read" in record.problem
    assert record.tables["curves"].length == 1


def test_settings_are_what_changes_the_numbers_as_the_schema_says(tmp_path):
    folder = write_run(tmp_path, "bn")
    neutral = [f.name for f in dataclasses.fields(find("mnist").config) if rule_of(f).neutral]
    assert {"tensorboard", "without"} <= {*neutral}
    config = dict.fromkeys(neutral, 1) | {"optim": {"lr": 0.5}, "model": {"hidden": [9, 9]}}
    config |= {"data": {"label": "mine", "size": 8, "cache": "data"}}
    (folder / "config.yaml").write_text(json.dumps(config))
    expected = {"optim.lr": 0.5, "model.hidden": "[9, 9]", "data.size": 8}
    assert read(folder).settings == expected
    elsewhere = read(folder, ("unheard_of", "small", "bn", "seed-0"))
    assert elsewhere.problem == ""
    assert elsewhere.settings == expected | {"checkpoint_every": 1, "tensorboard": 1}


def test_a_run_is_running_stopped_or_what_its_summary_says(tmp_path):
    assert read(write_run(tmp_path, "a")).status() == "running"
    old = write_run(tmp_path, "b")
    for path in old.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    assert read(old).status() == "stopped"
    for status in ("ok", "diverged", "interrupted", "crashed"):
        folder = write_run(tmp_path, f"c-{status}", summary=ended(status))
        assert read(folder).status() == status


def test_a_run_with_long_gaps_between_rows_runs_for_longer(tmp_path):
    made = [{"step": i, "wall_s": 600.0 * i, "test_accuracy": 0.5} for i in (1, 2, 3)]
    folder = write_run(tmp_path, "bn", 0, made)
    for path in folder.iterdir():
        os.utime(path, (time.time() - 900,) * 2)
    assert read(folder).status() == "running"


def test_time_left_follows_the_pace_of_training_then_that_of_the_rows(tmp_path, monkeypatch):
    folder = write_run(tmp_path, "bn", 0, rows(20), total=2000)  # 0.25 s for 50 steps
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    record = read(folder)
    assert record.seconds_left() == pytest.approx(5.0)
    monkeypatch.setattr("time.time", lambda: now + 10)
    append(folder, rows(10, start=20))
    record.read()
    assert record.seconds_left() == pytest.approx(10.0)  # 500 steps in 10 s, 500 are left


def test_every_record_is_found_and_nothing_else(tmp_path):
    write_run(tmp_path, "bn", 2)
    (tmp_path / "mnist" / "small" / "figures").mkdir()
    (tmp_path / "mnist" / "small" / "figures" / "config.yaml").write_text("")
    (tmp_path / "multirun").mkdir()
    search = tmp_path / "inception_grid" / "small" / "rate" / "grid" / "0.04" / "seed-0"
    search.mkdir(parents=True)
    (search / "metrics.jsonl").write_text("")
    places = {place for _, place in find_records(tmp_path)}
    assert places == {
        ("mnist", "small", "bn", "seed-2"),
        ("inception_grid", "small", "rate", "grid", "0.04", "seed-0"),
    }
    assert FollowedRecord(search, next(p for p in places if "rate" in p)).key == {
        "round": "grid", "value": 0.04, "seed": 0,
    }  # fmt: skip


def test_records_of_an_experiment_and_scale_are_one_set(tmp_path):
    for seed in range(2):
        write_run(tmp_path, "bn", seed)
    write_run(tmp_path, "bn", 0, place="mnist/paper")
    runs = Runs(tmp_path)
    assert len(runs.read()) == 3
    sets = {each.name: each for each in runs.sets()}
    assert sorted(sets) == ["mnist/paper/runs", "mnist/small/runs"]
    table = sets["mnist/small/runs"].tables["curves"]
    assert table.describe()["counters"] == ["step", "examples", "epoch", "wall_s"]
    assert [chunk.key for chunk in table.chunks] == [
        {"variant": "bn", "seed": seed} for seed in range(2)
    ]
    assert gathered([]) == {}


def test_committed_evidence_that_cannot_be_read_says_so(tmp_path):
    folder = tmp_path / "mnist" / "small"
    folder.mkdir(parents=True)
    (folder / "runs.csv").write_text("variant,seed\nbn,0\n")
    (folder / "curves.csv.gz").write_bytes(b"no gzip")
    (found,) = committed(tmp_path)
    assert "cannot be read" in found.problem
