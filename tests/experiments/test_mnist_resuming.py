"""`experiments.mnist` killed, interrupted, on a full disk or damaged: it ends as undisturbed."""

import json
import os
import shutil

import pytest

from bnrepro.cli import guard
from bnrepro.run.record import Record, read_rows
from experiments.mnist.__main__ import main
from scripts import render
from tests.drawing import evidence_of, more
from tests.experiments.killed import rows_without_time, run_and_die, undisturbed_run
from tests.run.damage import CONTENTS, damage, resummarised

SMOKE = ["scale=smoke", "wandb.mode=disabled"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    undisturbed_run("mnist", [*SMOKE, "variant=bn", f"results={results}"])
    return results / "mnist/smoke/bn"


@pytest.mark.parametrize(
    ("what", "count"),
    [("row", 6), ("checkpoint", 2), ("sync", 8), *more(("row", 1), ("row", 11))],
)
def test_a_killed_run_resumes_to_the_same_curve(what, count, undisturbed, run, tmp_path):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}"]
    run_and_die("mnist", what, count, arguments)
    assert run(main, arguments) == 0
    for seed in (0, 1):
        resumed = tmp_path / f"mnist/smoke/bn/seed-{seed}"
        assert rows_without_time(resumed) == rows_without_time(undisturbed / f"seed-{seed}")


def test_a_kill_between_two_summaries_trains_nothing_again(undisturbed, run, tmp_path):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}"]
    run_and_die("mnist", "summary", 2, arguments)
    folders = [tmp_path / f"mnist/smoke/bn/seed-{seed}" for seed in (0, 1)]
    assert [(folder / "summary.json").exists() for folder in folders] == [True, False]
    before = [(folder / "metrics.jsonl").read_bytes() for folder in folders]  # with its times
    assert run(main, arguments) == 0
    assert [(folder / "metrics.jsonl").read_bytes() for folder in folders] == before
    for folder in folders:
        ours, theirs = (
            json.loads((f / "summary.json").read_text())["final"]
            for f in (folder, undisturbed / folder.name)
        )
        assert ours | {"wall_s": 0} == theirs | {"wall_s": 0}


@pytest.mark.parametrize("name", ["metrics.jsonl", "meta.json"])
def test_a_damaged_finished_run_is_left_out_of_figures_and_made_again(
    name, undisturbed, run, tmp_path, caplog
):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}"]
    shutil.copytree(undisturbed, folder := tmp_path / "mnist/smoke/bn")
    damage(folder / "seed-1" / name, CONTENTS["cut"])
    (folder / "seed-x").mkdir()
    assert evidence_of("mnist", arguments).seeds("bn") == [0]
    assert f"seed-1/{name}: damaged" in caplog.text
    assert "seed-x: no folder of a run" in caplog.text
    assert run(main, arguments) == 0
    for seed in (0, 1):
        again = folder / f"seed-{seed}"
        assert rows_without_time(again) == rows_without_time(undisturbed / again.name)


LACKING = [
    ("meta.json", b'{"data": {"name": "x"}}', "meta.json: damaged (no valid group)"),
    ("meta.json", None, "meta.json: damaged (no valid group)"),
    ("meta.json", ("hardware", "hardwear"), "meta.json: damaged (no valid hardware)"),
    ("meta.json", ("checksum", "checksome"), "meta.json: damaged (no valid checksum)"),
    ("meta.json", ("torch", "tourch"), "meta.json: damaged (no valid torch)"),
    ("config.yaml", ("optim:", "option:"), "config.yaml: damaged (no valid optim)"),
]


@pytest.mark.parametrize(("name", "change", "said"), LACKING, ids=str)
def test_a_record_of_before_that_lacks_what_figures_need_is_one_line(
    name, change, said, undisturbed, run, tmp_path, capsys
):
    arguments = ["scale=smoke", "variant=bn", f"results={tmp_path}"]
    shutil.copytree(undisturbed, folder := tmp_path / "mnist/smoke/bn")
    resummarised(folder / "seed-1", sha256=None)  # as of before digests were kept
    old_new = [word.encode() for word in change] if isinstance(change, tuple) else None
    damage(folder / "seed-1" / name, lambda data: data.replace(*old_new) if old_new else change)
    assert run(lambda: guard(render.main), ["mnist", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {folder}/seed-1/{said}; replace the run with force=true"


@pytest.mark.thorough
def test_a_hundred_seeds_train_in_one_command(run, tmp_path):
    arguments = [*SMOKE, "seeds=100", "duration.steps=1", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    assert len(list(tmp_path.rglob("summary.json"))) == 100
    (path,) = tmp_path.rglob("checkpoint-*")
    assert len(path.name) < 30


def interrupt_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next run end as if by Ctrl-C when it has recorded its `call`-th row."""
    calls = []

    def log(record, row, usual=Record.log):
        usual(record, row)
        calls.append(row)
        if len(calls) == call:
            raise KeyboardInterrupt

    monkeypatch.setattr(Record, "log", log)


def test_an_interrupt_says_so_and_can_be_resumed(run, tmp_path, monkeypatch, capsys):
    interrupt_at(1, monkeypatch)
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}", "seeds=1"]
    assert run(main, arguments) == 130
    assert "run the same command again" in capsys.readouterr().err
    path = tmp_path / "mnist/smoke/bn/seed-0/summary.json"
    assert json.loads(path.read_text())["status"] == "interrupted"
    monkeypatch.undo()
    assert run(main, arguments) == 0
    assert json.loads(path.read_text())["status"] == "ok"


def test_a_forced_run_that_is_interrupted_does_not_end_with_the_old_checkpoint(
    undisturbed, run, tmp_path, monkeypatch
):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}"]
    run(main, arguments)
    with monkeypatch.context() as patch:
        interrupt_at(3, patch)
        assert run(main, [*arguments, "force=true"]) == 130
    assert run(main, arguments) == 0
    for seed in (0, 1):
        resumed = tmp_path / f"mnist/smoke/bn/seed-{seed}"
        assert rows_without_time(resumed) == rows_without_time(undisturbed / f"seed-{seed}")


def test_a_seed_that_began_anew_elsewhere_does_not_resume_with_its_old_group(
    undisturbed, run, tmp_path, monkeypatch
):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}"]
    for seeds, rows in ((2, 10), (1, 1)):  # the pair has a checkpoint at 20, seed 0 a row at 5
        with monkeypatch.context() as patch:
            interrupt_at(rows, patch)
            assert run(main, [*arguments, f"seeds={seeds}"]) == 130
    assert run(main, arguments) == 0
    for seed in (0, 1):
        resumed = tmp_path / f"mnist/smoke/bn/seed-{seed}"
        assert rows_without_time(resumed) == rows_without_time(undisturbed / f"seed-{seed}")


def test_a_disk_that_fills_up_keeps_what_was_recorded(run, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "mnist/smoke/bn"

    def full_at_the_checkpoint(_):
        rows = folder / "seed-0/metrics.jsonl"
        if list(folder.glob("checkpoint-*.part")) and rows.exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_checkpoint)
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}", "seeds=1"]
    assert run(main, arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    for words in ("No space left", "checkpoint", "same command again"):
        assert words in error
    assert [r["step"] for r in read_rows(folder / "seed-0/metrics.jsonl")] == [5, 10, 15, 20]
    assert not list(folder.glob("checkpoint-*.part"))
    monkeypatch.undo()
    summary = folder / "seed-0/summary.json"
    assert json.loads(summary.read_text())["status"] == "crashed"
    assert run(main, arguments) == 0
    assert json.loads(summary.read_text())["status"] == "ok"
