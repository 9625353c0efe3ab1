"""The live table of the terminal."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from bnrepro import ROOT
from bnrepro.dashboard.data import Runs
from bnrepro.dashboard.terminal import duration, mean_accuracy, sparkline, table
from tests.dashboard.results import append, ended, rows, write_run, write_some


def shown(runs, width=120, everything=False):
    """The table as text."""
    console = Console(file=io.StringIO(), width=width)
    console.print(table(runs.records.values(), everything))
    return console.file.getvalue()


def test_arms_that_run_or_did_not_end_well_are_shown_with_their_accuracy(tmp_path):
    write_some(tmp_path)
    runs = Runs(tmp_path)
    runs.read()
    text = shown(runs)
    line = next(line for line in text.splitlines() if "bn-0a1b2c" in line)
    for part in ("mnist/small/bn-0a1b2c", "running", "2,000 of 3,000", "0.9780", "█"):
        assert part in line
    assert "diverged" in text
    assert "interrupted" in text
    assert "3 finished arms are left out" in text
    assert "scale_invariance/small/sweep" in shown(runs, everything=True)


def test_the_seeds_of_an_arm_are_one_line(tmp_path):
    for seed in range(3):
        write_run(tmp_path, "bn", seed, rows(10 + seed, seed))
    runs = Runs(tmp_path)
    runs.read()
    (line,) = [line for line in shown(runs).splitlines() if "bn" in line]
    assert "0,1,2" in line
    curve = mean_accuracy(list(runs.records.values()))
    expected = sum(rows(10, seed)[-1]["test_accuracy"] for seed in range(3)) / 3
    assert len(curve) == 10
    assert abs(curve[-1] - expected) < 1e-12


def test_a_row_that_is_logged_shows_at_the_next_look(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(4))
    runs = Runs(tmp_path)
    runs.read()
    append(folder, rows(1, start=4))
    runs.read()
    assert "250 of 3,000" in shown(runs)


def test_eighty_columns_are_wide_enough_and_markup_is_text(tmp_path):
    write_run(tmp_path, "bn", 0, summary=ended("crashed", None, error="[red]no memory[/red]"))
    runs = Runs(tmp_path)
    runs.read()
    text = shown(runs, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "[red]" in text


def test_a_sparkline_rises_with_its_values():
    assert sparkline([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.0] * 50 + [1.0] * 50, 4) == "▁▁██"
    assert (sparkline([0.5, 0.5]), sparkline([])) == ("▁▁", "")


def test_durations_are_hours_minutes_and_seconds():
    assert (duration(59.6), duration(3725)) == ("0:01:00", "1:02:05")


@pytest.mark.thorough
def test_both_commands_work_without_a_terminal(tmp_path):
    write_some(tmp_path)

    def run(*arguments):
        command = [sys.executable, "-m", *arguments, "--results", str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "mnist/small/bn-0a1b2c" in run("scripts.watch")
    path = run("scripts.dashboard").strip()
    assert path == str(tmp_path / "dashboard.html")
    assert (tmp_path / "dashboard.html").stat().st_size > 100_000
