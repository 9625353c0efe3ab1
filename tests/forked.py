"""Commands in forked copies of this process, which has all imports already."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tests.storm import TORCHRUN, become

PATIENCE = 300  # seconds


class Done(NamedTuple):
    """How a process ended; a negative status is the signal that killed it."""

    returncode: int
    stderr: str  # and stdout


def forked(work: Callable[[], object], arguments: Sequence[str]) -> Done:
    """Call `work` with these arguments on the command line in a forked copy of this process."""
    torch.optim.SGD([torch.zeros(1)])  # PyTorch's compiler comes with the first optimiser
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        pid = os.fork()
        if pid == 0:
            become(work, arguments, log)
        with _killed_at_the_end(pid):
            status = _wait(pid)
        return Done(os.waitstatus_to_exitcode(status), log.read_text("utf-8", "replace"))


def two_processes(work: Callable[[], object], arguments: Sequence[str]) -> Done:
    """The same as two data-parallel processes, under torchrun's agent."""
    return forked(lambda: elastic_launch(LaunchConfig(1, 1, 2, **TORCHRUN), work)(), arguments)


def _wait(pid: int) -> int:
    end = time.monotonic() + PATIENCE
    while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            pytest.fail(f"the process did not end within {PATIENCE} s")
        time.sleep(0.01)
    return found[1]


@contextlib.contextmanager
def _killed_at_the_end(group: int) -> Iterator[None]:
    """Whatever of the process's group is left is killed."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
