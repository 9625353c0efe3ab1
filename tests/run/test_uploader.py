"""wandb itself, with no network: real offline runs, and servers on 127.0.0.1 that fail or hang."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bnrepro.errors import UserError
from bnrepro.run import mirror
from bnrepro.run.mirror import HISTOGRAM_EDGES, check, flatten, open_mirrors
from tests.drawing import more, some
from tests.run.conftest import Wandb, wait_for_end
from tests.run.fake_server import answer_garbage

pytestmark = pytest.mark.usefixtures("no_account")

KEY = "0123456789abcdef0123456789abcdef01234567"
LONG = "street-view-house-numbers-2011-resized-64px-deduplicated-v2-train"
ROW = {"test_accuracy": 0.9, "test_loss": 0.1, "histogram": {"a": [1] * (len(HISTOGRAM_EDGES) - 1)}}
SUMMARY = {"status": "ok", "best": {"test_accuracy": 0.9}}
QUIET = {"WANDB_ERROR_REPORTING": "false"}  # nothing of the shell, no statistics
STEPS = [0, 1, 2, 3, 4]
JOB = """
import sys
from pathlib import Path
from bnrepro.run import mirror
from tests.run.conftest import Config, Wandb
mirror.EXIT_SECONDS = float(sys.argv[2])
cfg = Config(wandb=Wandb(dir=sys.argv[1]))
sinks = mirror.open_mirrors(cfg, range(int(sys.argv[3])), Path("bn"))
for step in range(5):
    for sink in sinks:
        sink.log({"step": step, "loss": 1.0})
print(sinks[0].uploader._process.pid, flush=True)
sys.stdin.readline()
for sink in sinks:
    sink.finish({"status": "ok"})
"""


def mirror_runs(cfg, seeds, arm):
    """What a short job does."""
    sinks = open_mirrors(cfg, seeds, Path(arm))
    for step in (0, 10, 10):
        for sink in sinks:
            sink.log(flatten({"step": step, **ROW}))
    for sink in sinks:
        sink.finish(SUMMARY)
    mirror.close()


def folders(folder):
    """The folders of the W&B runs below a folder."""
    return sorted(path.parent for path in (folder / "wandb").glob("*run-*/*.wandb"))


def recorded(folder):
    """The records of every W&B run below a folder, by kind, as wandb reads them."""
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json"]
    runs = []
    for run in folders(folder):
        lines = map(
            json.loads, subprocess.check_output([*inspect, str(run)], env=QUIET).splitlines()
        )
        records = [(line["type"], line[line["type"]]) for line in lines if line["type"] in line]
        runs.append({kind: [r for k, r in records if k == kind] for kind, _ in records})
    return runs


@pytest.fixture
def start(tmp_path):
    """Start a job as a separate process; give its folder and the process."""
    jobs = []

    def start(seeds=3, limit=15, **shell):
        folder = tmp_path / f"job{len(jobs)}"
        environment = {**os.environ, **shell, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", JOB, str(folder), str(limit), str(seeds)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        jobs.append(
            subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)
        )
        return folder, jobs[-1]

    yield start
    for job in jobs:
        job.kill()
        job.communicate()


def wait_until(condition, seconds=60):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def end(job, seconds):
    """Let a job end; what it printed to standard error, and how long it took."""
    begin = time.monotonic()
    _, errors = job.communicate("\n", timeout=seconds)
    return errors.splitlines(), time.monotonic() - begin


# --- runs on this machine -------------------------------------------------------------------------


@pytest.mark.thorough
def test_wandb_records_several_runs_with_long_labels_whatever_one_run_the_shell_names(
    monkeypatch, cfg, tmp_path, capfd
):
    for name in ("RUN_ID", "RESUME", "NAME", "RUN_GROUP", "TAGS", "NOTES", "SWEEP_ID", "SERVICE"):
        monkeypatch.setenv(f"WANDB_{name}", "shell")
    mirror_runs(cfg, [0, 1], LONG)
    runs = recorded(tmp_path)
    about = [run["run"][0] for run in runs]
    assert len({run["run_id"] for run in about}) == 2
    assert sorted(run["display_name"][-7:] for run in about) == ["/seed-0", "/seed-1"]
    assert "shell" not in json.dumps(about)
    for run in runs:
        items = [record["item"] for record in run["history"]]
        assert [item["step"] for item in items] == [0, 10, 10]
        assert [item["accuracy/test"] for item in items] == [0.9] * 3
        assert items[0]["inputs/a._type"] == "histogram"
        assert run["exit"][0].get("exit_code", 0) == 0
        summary = {k: v for record in run["summary"] for k, v in record["update"].items()}
        assert summary["best/test_accuracy"] == 0.9
    assert capfd.readouterr().err == f"W&B offline: {tmp_path}/wandb\n"


@pytest.mark.thorough
def test_home_and_caches_that_cannot_be_written_change_nothing(monkeypatch, cfg, tmp_path, capfd):
    for name in ("HOME", "XDG_CACHE_HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, "/proc/nowhere")
    mirror_runs(cfg, [0], "bn")
    (run,) = recorded(tmp_path)
    assert len(run["history"]) == 3
    assert capfd.readouterr().err == f"W&B offline: {tmp_path}/wandb\n"


def test_ctrl_c_ends_the_job_and_its_runs_are_recorded_to_the_last_row(start):
    folder, job = start()
    job.stdout.readline()
    os.killpg(job.pid, signal.SIGINT)
    lines, _ = end(job, 30)
    assert "KeyboardInterrupt" in lines[-2:]
    runs = recorded(folder)
    assert [[record["item"]["step"] for record in run["history"]] for run in runs] == [STEPS] * 3
    assert [run["exit"][0]["exit_code"] for run in runs] == [1] * 3


# --- the account ----------------------------------------------------------------------------------


def test_online_without_a_key_is_an_error_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"needs a key: run `.venv/bin/wandb login`") as error:
        check(Wandb("online", dir=str(tmp_path)))
    assert "\n" not in str(error.value)


MALFORMED = {
    "WANDB_API_KEY": "abc",
    "WANDB_BASE_URL": "secret",
    "WANDB_HTTP_TIMEOUT": "secret",
    "WANDB_INSECURE_DISABLE_SSL": "secret",
    "WANDB_X_EXTRA_HTTP_HEADERS": "{secret",
    "WANDB_IDENTITY_TOKEN_FILE": "/nowhere",
    "settings": "[default]\nconsole = secret\nbase_url = http://127.0.0.1:9\n",
}


def malform(monkeypatch, tmp_path, name):
    """Make one setting malformed; the others would let a run go online."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    if name == "settings":
        (tmp_path / name).write_text(MALFORMED[name])
        monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    else:
        monkeypatch.setenv(name, MALFORMED[name])


@pytest.mark.parametrize("name", some(MALFORMED, 4))
def test_a_malformed_setting_is_named_without_its_value(monkeypatch, tmp_path, name):
    malform(monkeypatch, tmp_path, name)
    with pytest.raises(UserError) as error:
        check(Wandb("online", dir=str(tmp_path)))
    assert name in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["settings", *more("WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE")])
def test_with_a_malformed_setting_runs_are_recorded_offline(
    monkeypatch, cfg, tmp_path, capfd, name
):
    malform(monkeypatch, tmp_path, name)
    mirror_runs(cfg, [0, 1], "bn")
    assert [len(run["history"]) for run in recorded(tmp_path)] == [3, 3]
    (line,) = capfd.readouterr().err.splitlines()
    assert "records offline" in line
    assert name in line


# --- servers --------------------------------------------------------------------------------------


def test_runs_reach_a_server_that_answers(monkeypatch, cfg, capfd, server):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    server.uploads_held.set()
    cfg.wandb.mode = "online"
    check(cfg.wandb)
    mirror_runs(cfg, [0, 1], LONG)
    assert "W&B online: " in capfd.readouterr().err
    runs = [asked["variables"] for asked in server.asked if "displayName" in str(asked)]
    runs = [run for run in runs if run["displayName"]]
    assert sorted(run["displayName"][-7:] for run in runs) == ["/seed-0", "/seed-1"]
    assert all(len(tag) <= 64 for run in runs for tag in run["tags"])
    files = [asked["files"] for asked in server.asked if "files" in asked]
    history = [f["wandb-history.jsonl"] for f in files if "wandb-history.jsonl" in f]
    rows = [json.loads(row) for part in history for row in part["content"]]
    assert sorted(row["step"] for row in rows) == [0, 0, 10, 10, 10, 10]


@pytest.mark.thorough
def test_uploads_that_hang_end_together_and_with_one_warning(start, server):
    folder, job = start(seeds=5, WANDB_API_KEY=KEY, WANDB_BASE_URL=server.url)
    wait_until(lambda: len(folders(folder)) == 5)
    lines, seconds = end(job, 60)
    assert seconds < 15
    assert len(lines) == 2, lines
    assert "did not take everything within 8 s" in lines[1]
    assert len(recorded(folder)) == 5


@pytest.mark.thorough
def test_servers_that_refuse_hang_or_answer_garbage_leave_offline_runs_in_seconds(start):
    with (
        socket.create_server(("127.0.0.1", 0)) as hangs,
        socket.create_server(("127.0.0.1", 0)) as garbles,
    ):
        threading.Thread(target=answer_garbage, args=(garbles,), daemon=True).start()
        ports = (9, hangs.getsockname()[1], garbles.getsockname()[1])
        jobs = [
            start(WANDB_API_KEY=KEY, WANDB_BASE_URL=f"http://127.0.0.1:{port}") for port in ports
        ]
        for folder, job in jobs:
            wait_until(lambda folder=folder: len(folders(folder)) == 3, seconds=30)
            lines, _ = end(job, 60)
            assert len(lines) == 1, lines
            assert "records offline in" in lines[0]
            assert "online: " in lines[0]
            runs = recorded(folder)
            assert [len(run["history"]) for run in runs] == [5, 5, 5]
            assert all("offline" in str(run["telemetry"]) for run in runs)


# --- wandb's service ------------------------------------------------------------------------------


def test_a_service_that_hangs_holds_a_finished_job_no_longer_than_the_limit(start):
    folder, job = start(limit=1)
    uploader = int(job.stdout.readline())
    wait_until(lambda: len(folders(folder)) == 3)
    service = service_of(uploader)
    os.kill(service, signal.SIGSTOP)
    lines, seconds = end(job, 60)
    assert job.returncode == 0
    assert 1 <= seconds < 8
    assert "did not end within 1.0 s" in lines[-1]
    wait_for_end(uploader, service)


def service_of(uploader):
    """The process id of wandb's service."""
    threads = Path(f"/proc/{uploader}/task").glob("*/children")
    (service,) = [int(pid) for thread in threads for pid in thread.read_text().split()]
    return service
