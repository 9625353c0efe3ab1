"""Workers whose parent was killed: torchrun's processes and joblib's end, and leave a summary."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnrepro import ROOT
from bnrepro.run.locks import locked
from tests.run.conftest import wait_for_end

WORK = """
import os, sys, time
from pathlib import Path
from bnrepro.run.locks import locked
from bnrepro.run.loop import marking
from bnrepro.run.orphans import end_with_parent
from bnrepro.run.record import Record

def work(folder):
    end_with_parent()
    record = Record(Path(folder))
    with locked([record.folder]), marking([record], "h"):
        (record.folder / "pid").write_text(str(os.getpid()))
        time.sleep(60)
"""
JOBLIB = "from joblib import Parallel, delayed\nParallel(2)(delayed(work)(f) for f in sys.argv[1:])"
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[2]], stderr=subprocess.DEVNULL)
"""


def pid_in(folder: Path) -> int:
    """The process that works on a folder, once it does."""
    end = time.monotonic() + 60
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    return int((folder / "pid").read_text())


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture
def folders(tmp_path):
    return [tmp_path / "a", tmp_path / "b"]


@pytest.mark.thorough
def test_joblib_s_workers_end_as_interrupted_when_the_main_process_was_killed(folders):
    command = [sys.executable, "-c", WORK + JOBLIB, *folders]
    main = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    workers = [pid_in(folder) for folder in folders]
    kill(main)
    wait_for_end(*workers, seconds=20)
    for folder in folders:
        assert json.loads((folder / "summary.json").read_text())["status"] == "interrupted"
    with locked(folders):
        pass


def worker_of(folder: Path, **environment: str) -> tuple[subprocess.Popen, int]:
    """A process that works on a folder, and its parent."""
    program = WORK + "work(sys.argv[1])"
    command = [sys.executable, "-c", PARENT, program, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment), pid_in(folder)


def test_torchrun_s_processes_end_as_interrupted_when_torchrun_was_killed(tmp_path):
    parent, worker = worker_of(tmp_path, TORCHELASTIC_RUN_ID="none")
    kill(parent)
    wait_for_end(worker, seconds=20)
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "interrupted"


def test_a_command_outlives_the_shell_that_started_it(tmp_path):
    parent, command = worker_of(tmp_path)
    kill(parent)
    time.sleep(1.5)
    assert not (tmp_path / "summary.json").exists()
    os.kill(command, signal.SIGKILL)
    wait_for_end(command)
