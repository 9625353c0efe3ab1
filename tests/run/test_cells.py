"""Sweeps: an interrupted or damaged one goes on after its last whole cell."""

import dataclasses
import json

import pytest
import torch

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.run import checkpoint
from bnrepro.run.cells import CHECKPOINT, run_cells
from bnrepro.run.record import Record
from tests.run.damage import CONTENTS, LINES, damage

CFG = compose("jacobian", ["scale=smoke"])
CELLS = [10, 20, 30, 40]
ROWS = [{"cell": n, "part": "p", "x": c + i} for n, c in enumerate(CELLS, 1) for i in (1, 2)]


def sweep(results, force=False, die_at=None):
    """Run a sweep of two rows a cell; the cells that it measured."""
    measured = []

    def measure(cfg, data, cell, device):
        measured.append(cell)
        yield {"part": "p", "x": cell + 1}
        if cell == die_at:
            raise KeyboardInterrupt
        yield {"part": "p", "x": cell + 2}

    cfg = dataclasses.replace(CFG, results=str(results), force=force)
    run_cells(cfg, CELLS, measure)
    return measured


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "jacobian/smoke/sweep"


@pytest.fixture
def interrupted(tmp_path, folder):
    """A sweep that ended amid its fourth cell."""
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, die_at=40)
    return folder


def test_an_interrupted_sweep_goes_on_after_its_last_whole_cell(tmp_path, interrupted, caplog):
    assert Record(interrupted).rows() == ROWS[:7]
    assert sweep(tmp_path) == [40]
    assert Record(interrupted).rows() == ROWS
    assert "metrics.jsonl" not in caplog.text
    summary = json.loads((interrupted / "summary.json").read_text())
    assert summary["rows"] == 8
    assert sweep(tmp_path) == []


def test_the_time_of_interrupted_processes_counts(tmp_path, interrupted):
    path = interrupted / CHECKPOINT
    state = torch.load(path, weights_only=True)
    checkpoint.save(path, state | {"spent": [1000.0, 2000.0]})
    sweep(tmp_path)
    summary = json.loads((interrupted / "summary.json").read_text())
    assert 1000 <= summary["wall_s"] < 1100
    assert 2000 <= summary["cpu_s"] < 2100


def without(number):
    return lambda data: b"".join(
        line for i, line in enumerate(data.splitlines(keepends=True)) if i != number
    )


@pytest.mark.parametrize(("row", "kept"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (6, 3)])
@pytest.mark.parametrize("finish", [False, True])
def test_a_lost_row_costs_its_cell_and_later_ones(row, kept, finish, tmp_path, interrupted, caplog):
    if finish:
        sweep(tmp_path)
    damage(interrupted / "metrics.jsonl", without(row))
    assert sweep(tmp_path) == CELLS[kept:]
    assert Record(interrupted).rows() == ROWS
    assert caplog.text.count("metrics.jsonl: damaged") == (1 if finish or kept < 3 else 0)


FILES = ("checkpoint.pt", "meta.json", "config.yaml")
CHANGES = [("metrics.jsonl", change) for change in LINES] + [(name, "cut") for name in FILES]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_a_damaged_sweep_ends_with_the_same_rows(name, change, tmp_path, interrupted, caplog):
    damage(interrupted / name, (CONTENTS | LINES)[change])
    sweep(tmp_path)
    assert Record(interrupted).rows() == ROWS
    lost = name in ("metrics.jsonl", "checkpoint.pt")  # the others are written anew
    assert caplog.text.count(f"{name}: damaged") == lost


def test_a_damaged_summary_is_one_line_and_force_measures_again(tmp_path, folder):
    sweep(tmp_path)
    damage(folder / "summary.json", CONTENTS["cut"])
    with pytest.raises(UserError, match=r"summary\.json: damaged .*force=true"):
        sweep(tmp_path)
    assert sweep(tmp_path, force=True) == CELLS
    assert Record(folder).rows() == ROWS


@pytest.mark.parametrize("name", ["checkpoint.pt", "lock", "summary.json"])
def test_a_folder_in_place_of_a_file_is_one_line_and_force_removes_it(name, tmp_path, interrupted):
    (interrupted / name).unlink(missing_ok=True)
    (interrupted / name / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match=f"{name}: .*force=true"):
        sweep(tmp_path)
    assert sweep(tmp_path, force=True) == CELLS
    assert Record(interrupted).rows() == ROWS
