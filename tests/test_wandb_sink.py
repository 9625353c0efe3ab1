"""The W&B mirror works offline with several runs at once, and none of its failures stops a run."""

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bnrepro import wandb_sink
from bnrepro.errors import UserError
from bnrepro.wandb_sink import Histogram, NullSink, WandbSink, check, open_sink
from scripts import wandb_runs

ROOT = Path(__file__).parents[1]
ABOUT = {"name": "bn/seed-0", "group": "mnist", "job_type": "bn", "tags": ["bn"], "config": {}}
FAKE_KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Settings:
    mode: str = "auto"
    project: str = "bnrepro-test"
    entity: str | None = None
    dir: str = "."


class FakeWandb:
    """wandb's surface as the sink uses it; `broken` names the calls that raise."""

    def __init__(self, folder, key=False, broken=()):
        self.folder, self.key, self.broken = folder, key, broken
        self.inits, self.rows, self.summary = [], [], {}

    def login(self, prompt, verify):
        assert not prompt
        return self.key

    def Settings(self, **values):
        return values

    def init(self, **values):
        self.inits.append(values["mode"])
        if values["mode"] in self.broken:
            raise ConnectionError("no answer\nfrom the server")
        self.settings = SimpleNamespace(sync_dir=f"{self.folder}/wandb/run")
        self.project_url = "https://example.invalid/project"
        return self

    def define_metric(self, *names, **kwargs):
        pass

    def log(self, row):
        if "log" in self.broken:
            raise ConnectionError("service gone")
        self.rows.append(row)

    def finish(self, exit_code):
        if "finish" in self.broken:
            raise ConnectionError("service gone")
        time.sleep(1.5 * ("slow" in self.broken))


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch, tmp_path):
    """No key, no modes and no memory of earlier tests; the home folder of nobody."""
    for name in [name for name in os.environ if name.startswith("WANDB_")] + ["RANK", "NETRC"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(wandb_sink, "_process", wandb_sink._Process())
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


@pytest.fixture
def fake(monkeypatch, tmp_path):
    def install(**kwargs):
        wandb = FakeWandb(tmp_path, **kwargs)
        monkeypatch.setattr(wandb_sink, "load_wandb", lambda: wandb)
        return wandb

    return install


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def run_python(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


# --- the null twin -------------------------------------------------------------------------------


def test_null_twin_takes_everything():
    sink = NullSink()
    sink.log({"step": 0, "loss": float("nan")})
    sink.finish({"status": "ok"})


def test_import_and_disabled_leave_wandb_alone(tmp_path):
    done = run_python(
        "import sys; from types import SimpleNamespace as N\n"
        "from bnrepro.wandb_sink import check, open_sink\n"
        "s = N(mode='disabled', project='p', entity=None, dir='/dev/null')\n"
        "check(s); open_sink(s, name='', group='', job_type='', tags=[], config={})\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('wandb', 'numpy')))"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_only_rank_zero_writes(monkeypatch, fake, tmp_path):
    wandb = fake()
    monkeypatch.setenv("RANK", "1")
    settings = Settings("online", dir=str(tmp_path))
    check(settings)
    assert isinstance(open_sink(settings, **ABOUT), NullSink)
    monkeypatch.setenv("RANK", "0")
    assert isinstance(open_sink(Settings("offline", dir=str(tmp_path)), **ABOUT), WandbSink)
    assert wandb.inits == ["offline"]


# --- real runs, offline --------------------------------------------------------------------------


def inspect(run):
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(run)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_two_runs_at_once_offline(tmp_path, capfd):
    settings = Settings("offline", dir=str(tmp_path))
    check(settings)
    sinks = [open_sink(settings, **ABOUT | {"name": f"bn/seed-{k}"}) for k in range(2)]
    for step in (0, 10, 20, 10):  # a resumed run repeats a step
        for k, sink in enumerate(sinks):
            sink.log({"step": step, "train": {"loss": k + 1 / (step + 1)}, "nan": float("nan")})
    sinks[0].log({"step": 20, "u": Histogram(*np.histogram([1.0, 2.0, 2.0], bins=4))})
    assert all(sink._run is not None for sink in sinks)
    for sink in sinks:
        sink.finish({"status": "ok", "best": {"test/accuracy": 0.9}})
        sink.log({"step": 30})  # after the end: nothing happens

    assert capfd.readouterr() == ("", "")
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    first = next(s for s in map(inspect, folders) if "seed-0" in json.dumps(s))
    text = json.dumps(first)
    for content in ("bn/seed-0", "train/loss", "best/test/accuracy", '"u"', "status"):
        assert content in text


def test_rows_reach_wandb_flat(fake, tmp_path):
    wandb = fake()
    sink = open_sink(Settings("offline", dir=str(tmp_path)), **ABOUT)
    sink.log({"step": 3, "grad": {"hidden1": 1.0, "deep": {"x": 2}}})
    sink.finish({"final": {"accuracy": 0.5}})
    assert wandb.rows == [{"step": 3, "grad/hidden1": 1.0, "grad/deep/x": 2}]
    assert wandb.summary == {"final/accuracy": 0.5}


# --- which mode ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "env", "key", "expected"),
    [
        ("auto", None, False, ["offline"]),
        ("auto", None, True, ["online"]),
        ("auto", "offline", True, ["offline"]),
        ("auto", "dryrun", True, ["offline"]),
        ("auto", "disabled", True, []),
        ("offline", "online", True, ["offline"]),
        ("online", "offline", True, ["online"]),
        ("auto", "online", False, ["offline"]),  # wandb.init would ask for a key
    ],
)
def test_mode(monkeypatch, fake, tmp_path, mode, env, key, expected):
    wandb = fake(key=key)
    if env:
        monkeypatch.setenv("WANDB_MODE", env)
    open_sink(Settings(mode, dir=str(tmp_path)), **ABOUT)
    assert wandb.inits == expected


def test_unknown_modes_are_named(monkeypatch):
    with pytest.raises(UserError, match=r"wandb\.mode=onlin: choose one of auto"):
        check(Settings("onlin"))
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match="WANDB_MODE=ofline: choose one of online"):
        check(Settings("auto"))


@pytest.mark.parametrize("terminal", [False, True])
def test_online_without_key_is_an_error_and_never_asks(monkeypatch, tmp_path, terminal):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    monkeypatch.setattr("builtins.input", lambda *a: pytest.fail("asked for a key"))
    with pytest.raises(UserError, match=r"needs a key: run `.venv/bin/wandb login`") as error:
        check(Settings("online", dir=str(tmp_path)))
    assert "\n" not in str(error.value)


def test_auto_with_a_key_but_no_network_falls_back_in_time(tmp_path):
    done = run_python(
        "import logging, sys, time; logging.basicConfig(level=logging.WARNING)\n"
        "from types import SimpleNamespace as N\n"
        "import wandb\n"  # its import is not what is timed
        "from bnrepro.wandb_sink import open_sink\n"
        f"s = N(mode='auto', project='p', entity=None, dir={str(tmp_path)!r})\n"
        "begin = time.monotonic()\n"
        "for k in range(3):\n"
        "    sink = open_sink(s, name=str(k), group='', job_type='', tags=[], config={})\n"
        "    sink.log({'step': 0, 'loss': 1.0}); sink.finish({})\n"
        "print(time.monotonic() - begin)",
        WANDB_API_KEY=FAKE_KEY,
        WANDB_BASE_URL="http://127.0.0.1:9",
    )
    assert float(done.stdout) < 10, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "records offline in" in done.stderr
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 3


# --- failures ------------------------------------------------------------------------------------


def test_online_failure_is_met_once(fake, tmp_path, caplog):
    wandb = fake(key=True, broken=("online",))
    for _ in range(3):
        assert isinstance(open_sink(Settings("auto", dir=str(tmp_path)), **ABOUT), WandbSink)
    assert wandb.inits == ["online", "offline", "offline", "offline"]
    assert len(warnings(caplog)) == 1
    assert "\n" not in warnings(caplog)[0]


def test_init_that_always_raises_gives_a_null_sink(fake, tmp_path, caplog):
    fake(key=True, broken=("online", "offline"))
    assert isinstance(open_sink(Settings("online", dir=str(tmp_path)), **ABOUT), NullSink)
    assert len(warnings(caplog)) == 1
    assert "ConnectionError: no answer" in warnings(caplog)[0]


def test_wandb_that_cannot_be_imported_gives_a_null_sink(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert isinstance(open_sink(Settings("auto", dir=str(tmp_path)), **ABOUT), NullSink)
    assert len(warnings(caplog)) == 1
    monkeypatch.delitem(sys.modules, "wandb")


@pytest.mark.parametrize("call", ["log", "finish"])
def test_a_call_that_raises_turns_the_sink_off(fake, tmp_path, caplog, call):
    fake(broken=(call,))
    sinks = [open_sink(Settings("offline", dir=str(tmp_path)), **ABOUT) for _ in range(2)]
    for sink in sinks:
        for step in range(3):
            sink.log({"step": step})
        sink.finish({})
    assert len(warnings(caplog)) == 1


def test_slow_finish_is_bounded_and_waited_for_once(monkeypatch, fake, tmp_path, caplog):
    fake(broken=("slow",))
    monkeypatch.setattr(wandb_sink, "FINISH_SECONDS", 0.2)
    sinks = [open_sink(Settings("offline", dir=str(tmp_path)), **ABOUT) for _ in range(2)]
    begin = time.monotonic()
    for sink in sinks:
        sink.finish({})
    assert time.monotonic() - begin < 1.4
    assert len(warnings(caplog)) == 1


def test_unwritable_folder(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "below")
    for mode in ("offline", "online"):
        with pytest.raises(UserError, match=r"cannot write in .*file/below/wandb"):
            check(Settings(mode, dir=below))
    check(Settings("auto", dir=below))
    assert isinstance(open_sink(Settings("auto", dir=below), **ABOUT), NullSink)
    assert len(warnings(caplog)) == 1


# --- scripts/wandb_runs.py -----------------------------------------------------------------------


@pytest.fixture
def offline_runs(tmp_path):
    for name, synced in (("a", True), ("b", False)):
        run = tmp_path / "wandb" / f"offline-run-{name}"
        run.mkdir(parents=True)
        (run / f"run-{name}.wandb").touch()
        if synced:
            (run / f"run-{name}.wandb.synced").touch()
    return tmp_path


@pytest.mark.parametrize("action", ["view", "sync"])
def test_script_without_runs(tmp_path, capsys, action):
    assert wandb_runs.main([action, "--dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_script_views_the_folder(monkeypatch, offline_runs, capsys):
    calls = []
    monkeypatch.setattr(wandb_runs, "_wandb", lambda *a: calls.append(a) or 0)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert (
        wandb_runs.main(["view", "--dir", str(offline_runs)]) == 2
    )  # pytest's stdout: no terminal
    assert "needs a terminal" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert wandb_runs.main(["view", "--dir", str(offline_runs)]) == 0
    assert calls == [("leet", str(offline_runs / "wandb"))]


def test_script_uploads_what_is_not_uploaded(monkeypatch, offline_runs, capsys):
    calls = []
    monkeypatch.setattr(wandb_runs, "_wandb", lambda *a: calls.append(a) or 0)

    def upload(login):
        monkeypatch.setattr(wandb_runs, "load_wandb", lambda: SimpleNamespace(login=login))
        return wandb_runs.main(["sync", "--dir", str(offline_runs)])

    def unreachable(**kwargs):
        raise ConnectionError("no\nanswer")

    assert upload(lambda **kwargs: False) == 2
    assert "needs a W&B key" in capsys.readouterr().err
    assert upload(unreachable) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert upload(lambda **kwargs: True) == 0
    assert calls == [("sync", str(offline_runs / "wandb" / "offline-run-b"))]
    (offline_runs / "wandb" / "offline-run-b" / "run-b.wandb.synced").touch()
    assert upload(lambda **kwargs: True) == 2
    assert "all 2 are uploaded" in capsys.readouterr().err
