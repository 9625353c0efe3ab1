"""Running an experiment as a process that dies by SIGKILL at a chosen point."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bnrepro.config import ROOT
from bnrepro.run.record import read_rows

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
KILLED = """
import os, signal
from bnrepro.run import record
from bnrepro.run import checkpoint
import experiments.{experiment}.__main__ as experiment

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
experiment.main()
"""
PATCHES = {
    "row": "record.Record.log = dying(record.Record.log)",
    "checkpoint": "checkpoint.torch.save = dying(checkpoint.torch.save)",
    "sync": "record.os.fsync = dying(record.os.fsync)",
}


def undisturbed_run(experiment: str, arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", f"experiments.{experiment}", *arguments]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)


def run_and_die(experiment: str, what: str, count: int, arguments: Sequence[str]) -> None:
    """Run until the `count`th recorded row, saved checkpoint or synced file, then SIGKILL."""
    program = KILLED.format(experiment=experiment, patch=PATCHES[what], count=count)
    command = [sys.executable, "-c", program, *arguments]
    died = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL


def rows_without_time(folder: Path) -> list[dict]:
    return [
        {k: v for k, v in r.items() if k != "wall_s"} for r in read_rows(folder / "metrics.jsonl")
    ]
