"""Running an experiment as a process that dies by SIGKILL at a chosen point."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from bnrepro.cli import command
from bnrepro.experiment import find
from bnrepro.run.record import Record, read_rows
from tests.forked import forked

PLACES: dict[str, tuple[Any, str]] = {
    "row": (Record, "log"),
    "summary": (Record, "finish"),
    "checkpoint": (torch, "save"),
    "sync": (os, "fsync"),
}


def undisturbed_run(experiment: str, arguments: Sequence[str]) -> None:
    """Run to the end, in a process as `run_and_die` starts it."""
    done = forked(imported(experiment), arguments)
    assert done.returncode == 0, done.stderr


def run_and_die(experiment: str, what: str, count: int, arguments: Sequence[str]) -> None:
    """Run until the `count`th recorded row, summary, checkpoint or synced file, then SIGKILL."""
    (owner, name), main = PLACES[what], imported(experiment)

    def work() -> None:
        setattr(owner, name, dying(getattr(owner, name), count))
        main()

    died = forked(work, arguments)
    assert died.returncode == -signal.SIGKILL, died.stderr


def imported(experiment: str) -> Callable[[], None]:
    """The command of an experiment, with what it imports when it starts."""
    _ = find(experiment).measure
    return command(find(experiment))


def dying(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """The function, whose `count`th call kills the process instead."""
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return call


def rows_without_time(folder: Path) -> list[dict]:
    """The rows of a record without the clock's column."""
    return [
        {k: v for k, v in r.items() if k != "wall_s"} for r in read_rows(folder / "metrics.jsonl")
    ]
