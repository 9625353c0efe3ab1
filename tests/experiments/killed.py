"""Running an experiment as a process that dies by SIGKILL at a chosen point."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bnrepro import ROOT
from bnrepro.run.record import read_rows

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
KILLED = """
import os, signal, torch
from bnrepro.run.record import Record
from experiments.{experiment}.__main__ import main

calls = 0
def dying(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == {count}:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

{patch}
main()
"""
PATCHES = {
    "row": "Record.log = dying(Record.log)",
    "summary": "Record.finish = dying(Record.finish)",
    "checkpoint": "torch.save = dying(torch.save)",
    "sync": "os.fsync = dying(os.fsync)",
}


def undisturbed_run(experiment: str, arguments: Sequence[str]) -> None:
    """Run to the end, in a process as `run_and_die` starts it."""
    command = [sys.executable, "-m", f"experiments.{experiment}", *arguments]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)


def run_and_die(experiment: str, what: str, count: int, arguments: Sequence[str]) -> None:
    """Run until the `count`th recorded row, summary, checkpoint or synced file, then SIGKILL."""
    program = KILLED.format(experiment=experiment, patch=PATCHES[what], count=count)
    command = [sys.executable, "-c", program, *arguments]
    died = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr


def rows_without_time(folder: Path) -> list[dict]:
    """The rows of a record without the clock's column."""
    return [
        {k: v for k, v in r.items() if k != "wall_s"} for r in read_rows(folder / "metrics.jsonl")
    ]
