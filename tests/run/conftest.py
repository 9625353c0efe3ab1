"""A run's settings, and surroundings in which W&B finds no account; wandb itself or a stand-in."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bnrepro.run import mirror
from tests.run.fake_server import Server

FAKE = Path(__file__).with_name("fake_wandb.py")


@dataclass
class Wandb:
    mode: str = "auto"
    project: str = "bnrepro-test"
    entity: str | None = None
    dir: str = "."


@dataclass
class Config:
    experiment: str = "mnist"
    scale: str = "smoke"
    lr: float = 0.1
    tensorboard: bool = False
    wandb: Wandb = field(default_factory=Wandb)


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    """No account, no mode, no memory of earlier tests."""
    for name in [name for name in os.environ if name.startswith("WANDB_")] + ["RANK", "NETRC"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    mirror._report_off.cache_clear()
    yield
    mirror.close()


@pytest.fixture
def cfg(no_account, tmp_path):
    """Settings of a run whose W&B folder is a temporary one."""
    return Config(wandb=Wandb(dir=str(tmp_path)))


@pytest.fixture
def fake_wandb(monkeypatch, tmp_path):
    """Put the stand-in in wandb's place; what was called, once the second process has ended."""
    library = tmp_path / "library/wandb"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(FAKE.read_text())
    monkeypatch.syspath_prepend(str(library.parent))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))

    def calls(*names):
        mirror.close()
        lines = (tmp_path / "calls").read_text().splitlines()
        return [c for c in map(json.loads, lines) if c["call"] in names or not names]

    return calls


@pytest.fixture
def server():
    """A server of W&B."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.uploads_held.set()
    server.shutdown()
    server.server_close()


def wait_for_end(*pids, seconds=5):
    """Wait until none of the processes runs; a dead one that nobody has collected does not."""
    end = time.monotonic() + seconds
    while alive := [pid for pid in pids if state(pid) not in "ZX"]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"
