"""scripts/wandb_runs.py: W&B runs of this machine in the terminal, and uploaded later."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bnrepro.cli import guard
from bnrepro.run import mirror
from bnrepro.run.mirror import flatten, open_mirrors
from scripts import wandb_runs

pytestmark = pytest.mark.usefixtures("no_account")


@pytest.fixture
def runs(tmp_path):
    """Folders as wandb leaves them, in ~/runs."""
    folder = tmp_path / "home/runs/wandb"
    for name in ("offline-run-20260102_030405-bn-seed-0-ab", "run-20260102_030405-x"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"run-{name[-2:]}.wandb").touch()
    return folder


@pytest.fixture
def calls(monkeypatch):
    """What is asked of wandb's command line."""
    found = []

    def call(*arguments, env):
        links = sorted(os.listdir(arguments[1])) if arguments[0] == "leet" else []
        found.append((arguments[0], links, env.get("WANDB_DIR")))
        return 0

    monkeypatch.setattr(wandb_runs, "_wandb", call)
    return found


@pytest.fixture
def call(run):
    """Call the script with these words; its exit status."""
    return lambda *words: run(lambda: guard(wandb_runs.main), words)


@pytest.mark.parametrize("action", ["view", "sync"])
def test_without_runs_there_is_one_line(call, tmp_path, capsys, action):
    assert call(action, "--dir", str(tmp_path)) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_viewer_gets_names_that_begin_with_the_arm(call, monkeypatch, runs, calls, capsys):
    assert call("view", "--dir", "~/runs") == 2
    assert "needs a terminal" in capsys.readouterr().err
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, SimpleNamespace(isatty=lambda: True))
    assert call("view", "--dir", "~/runs") == 0
    links = ["run-bn-seed-0-ab-run-20260102_030405-bn-seed-0-ab", "run-x-run-20260102_030405-x"]
    assert calls == [("leet", links, None)]


def test_runs_are_uploaded_once_the_server_has_taken_the_key(
    call, monkeypatch, runs, calls, capsys
):
    assert call("sync", "--dir", "~/runs") == 2
    assert "needs a key" in capsys.readouterr().err
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert call("sync", "--dir", "~/runs") == 0
    assert calls == [(action, [], str(runs.parent)) for action in ("login", "sync")]


def test_the_terminal_view_shows_the_arm_and_first_of_all_the_accuracy(cfg, tmp_path):
    sinks = open_mirrors(cfg, [0, 1], Path("bn_tuned"))
    for step in range(5):
        for sink in sinks:
            sink.log(flatten({"step": step, "epoch": 0.1, "loss": 1.0, "test_accuracy": 0.5}))
    mirror.close()
    screen = view("--dir", str(tmp_path))
    for text in (b"run-bn_tuned-seed-0", b"run-bn_tuned-seed-1", b"accuracy/test", b"epoch"):
        assert text in screen, screen[-2000:]
    assert screen.index(b"accuracy/test") < screen.index(b"epoch")


def view(*arguments):
    """What the view writes to a terminal of 30 lines and 120 columns until the charts are there."""
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (30, 120))
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "scripts.wandb_runs", "view", *arguments]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), inside)
    process = subprocess.Popen(command, env=environment, start_new_session=True, **streams)
    screen, end = b"", time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            screen += os.read(terminal, 65536)
        if b"epoch" in screen and b"seed-1" in screen:
            os.write(terminal, b"q")
    process.kill()
    os.close(terminal)
    os.close(inside)
    return screen
