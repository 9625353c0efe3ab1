"""The W&B mirror repeats a run's rows, and nothing of W&B stops, slows down or clutters the run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnrepro.errors import UserError
from bnrepro.run import mirror
from bnrepro.run.mirror import HISTOGRAM_EDGES, NullSink, WandbSink, check, flatten, open_mirrors
from tests.run.conftest import Wandb, wait_for_end

pytestmark = pytest.mark.usefixtures("no_account")

LABELS = ["bn", "x" * 59, "x" * 64, "x" * 65, "ü" * 64, "x" * 200, "\udcff" * 65]


# --- rows and labels ------------------------------------------------------------------------------


def test_a_row_becomes_flat_charts_of_which_accuracy_is_the_first():
    counts = [1] * (len(HISTOGRAM_EDGES) - 1)
    row = {
        "step": 5,
        "epoch": 0.1,
        "test_accuracy": 0.5,
        "grad_norm": {"hidden1": 2.0},
        "percentiles": {"training": {"hidden1": [[0.0], [1.0], [2.0]]}},
        "histogram": {"hidden1": counts},
    }
    flat = flatten(row)
    assert flat == {
        "step": 5,
        "epoch": 0.1,
        "accuracy/test": 0.5,
        "grad_norm/hidden1": 2.0,
        "inputs/hidden1": (counts, HISTOGRAM_EDGES),
    }
    assert min(flat) == "accuracy/test"
    assert "test_accuracy" in row  # the record's row is left as it is


def test_a_run_is_named_so_that_arms_and_seeds_overlay(fake_wandb, cfg):
    open_mirrors(cfg, [0, 3], Path("bn_x5"))
    runs = fake_wandb("offline")
    assert [run["name"] for run in runs] == ["bn_x5/seed-0", "bn_x5/seed-3"]
    assert {(run["group"], run["job_type"]) for run in runs} == {("mnist/smoke", "bn_x5")}
    assert runs[1]["tags"] == ["mnist", "smoke", "bn_x5", "seed-3"]
    assert [run["config"]["seed"] for run in runs] == [0, 3]
    assert runs[0]["config"]["lr"] == 0.1
    assert all(run["id"].startswith("bn_x5-seed-") for run in runs)


@pytest.mark.parametrize("label", LABELS, ids=range(len(LABELS)))
def test_every_label_fits_the_limit_and_differs_from_its_neighbours(cfg, label):
    seeds = [0, 10**9]
    runs = [mirror._describe(cfg, seed, arm) for seed in seeds for arm in (label, label + "y")]
    for run in runs:
        for text in (run["name"], run["group"], run["job_type"], *run["tags"]):
            assert 1 <= len(text.encode()) <= 64
        assert len(run["id"]) + 9 <= 64  # 9: what makes it unique
        assert set(run["id"]).isdisjoint(":;,#?/' ")
    assert len({run["name"] for run in runs}) == 4
    assert len({run["job_type"] for run in runs}) == 2
    assert all(run["name"].endswith(f"/seed-{run['config']['seed']}") for run in runs)


def test_a_label_within_the_limit_is_left_as_it_is(cfg):
    assert mirror._describe(cfg, 0, "x" * 64)["job_type"] == "x" * 64


def test_rows_and_summaries_reach_their_runs_in_order(fake_wandb, cfg):
    sinks = open_mirrors(cfg, [0, 1], Path("bn"))
    for step in (0, 10, 10):  # a resumed run repeats a step
        for sink in sinks:
            sink.log({"step": step, "nan": float("nan"), "inputs/a": ([1, 2], (0, 1, 2))})
    sinks[0].finish({"status": "diverged", "best": {"test_accuracy": 0.9}})
    sinks[0].log({"step": 20})  # after the end: ignored
    rows = [call["row"] for call in fake_wandb("log") if call["run"] == "bn/seed-0"]
    assert [row["step"] for row in rows] == [0, 10, 10]
    assert rows[0]["inputs/a"] == {"histogram": [[1, 2], [0, 1, 2]]}
    ends = {call["run"]: call for call in fake_wandb("finish")}
    assert ends["bn/seed-0"]["exit_code"] == 0
    assert ends["bn/seed-0"]["summary"] == {"status": "diverged", "best/test_accuracy": 0.9}
    assert ends["bn/seed-1"]["exit_code"] == 1  # never finished


# --- which mode -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "shell", "key", "expected"),
    [
        ("auto", {}, False, "offline"),
        ("auto", {}, True, "online"),
        ("auto", {"WANDB_MODE": "offline"}, True, "offline"),
        ("auto", {"WANDB_MODE": "dryrun"}, True, "offline"),
        ("auto", {"WANDB_MODE": "online"}, False, "offline"),  # wandb would ask for a key
        ("auto", {"WANDB_MODE": "disabled"}, True, None),
        ("auto", {"WANDB_DISABLED": "true", "WANDB_MODE": "online"}, True, None),
        ("auto", {"WANDB_DISABLED": "1"}, True, None),
        ("auto", {"WANDB_DISABLED": "False"}, True, "online"),
        ("disabled", {"WANDB_MODE": "online"}, True, None),
        ("offline", {"WANDB_MODE": "online"}, True, "offline"),
        ("online", {"WANDB_MODE": "offline", "WANDB_DISABLED": "true"}, True, "online"),
    ],
)
def test_mode(monkeypatch, fake_wandb, cfg, mode, shell, key, expected):
    cfg.wandb.mode = mode
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BROKEN", "key" if key else "")
    (sink,) = open_mirrors(cfg, [0], Path("bn"))
    if expected is None:
        assert isinstance(sink, NullSink)
        assert mirror._uploader is None
    else:
        assert [call["call"] for call in fake_wandb("online", "offline")] == [expected]


def test_an_unknown_mode_of_the_shell_is_named(monkeypatch, cfg):
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match="WANDB_MODE=ofline: choose one of online"):
        check(Wandb("auto"))


@pytest.mark.parametrize("project", ["", "a/b", "what?", "x" * 129])
def test_a_project_name_that_wandb_refuses_is_an_error_before_any_work(project):
    with pytest.raises(UserError, match=r"wandb\.project=.*1 to 128 characters"):
        check(Wandb("auto", project=project))
    check(Wandb("disabled", project=project))


def test_only_rank_zero_writes(monkeypatch, cfg):
    monkeypatch.setenv("RANK", "1")
    cfg.wandb.mode = "online"
    check(cfg.wandb)
    assert {type(sink) for sink in open_mirrors(cfg, [0, 1], Path("bn"))} == {NullSink}


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_an_unwritable_folder_is_an_error_before_any_work_where_a_mode_is_asked_for(tmp_path, mode):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"wandb\.dir: cannot write in .*file/below/wandb"):
        check(Wandb(mode, dir=str(tmp_path / "file/below")))


def test_an_unwritable_folder_turns_the_automatic_mode_off_with_one_warning(tmp_path, cfg, caplog):
    (tmp_path / "file").write_text("")
    cfg.wandb.dir = str(tmp_path / "file/below")
    check(cfg.wandb)
    for _ in range(2):
        (sink,) = open_mirrors(cfg, [0], Path("bn"))
        assert isinstance(sink, NullSink)
        sink.log({"step": 0})
        sink.finish({"status": "ok"})
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "cannot write in" in warning


def test_the_home_folder_is_expanded(fake_wandb, cfg, tmp_path):
    cfg.wandb.dir = "~/runs"
    open_mirrors(cfg, [0], Path("bn"))
    (run,) = fake_wandb("offline")
    assert run["dir"] == str(tmp_path / "home/runs")
    assert (tmp_path / "home/runs/wandb").is_dir()


def test_importing_the_mirror_loads_neither_torch_nor_wandb():
    code = "import sys, bnrepro.run.mirror; print({'torch', 'wandb', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


# --- the shell ------------------------------------------------------------------------------------


def test_of_the_shell_only_the_account_and_the_way_to_the_server_are_used(
    monkeypatch, fake_wandb, cfg
):
    one_run = ("RUN_ID", "RESUME", "NAME", "RUN_GROUP", "TAGS", "NOTES", "SWEEP_ID", "SERVICE")
    for name in ("API_KEY", "BASE_URL", "ENTITY", "MODE", *one_run):
        monkeypatch.setenv(f"WANDB_{name}", "disabled" if name == "MODE" else "x")
    cfg.wandb.mode = "offline"
    open_mirrors(cfg, [0], Path("bn"))
    (call,) = fake_wandb("setup")
    assert call["environment"] == {
        **dict.fromkeys(("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY"), "x"),
        "WANDB_ERROR_REPORTING": "false",  # no usage statistics
        "WANDB_SILENT": "true",
    }
    assert os.environ["WANDB_RUN_ID"] == "x"  # the training process keeps its shell


def test_no_two_runs_share_an_id(fake_wandb, cfg):
    for _ in range(2):
        open_mirrors(cfg, [0, 1], Path("bn"))
    ids = [run["id"] for run in fake_wandb("offline")]
    assert len(set(ids)) == len(ids) == 4


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("import", "W&B is off (ImportError: no such library)"),
        ("setup", "W&B is off (ConnectionError: no answer)"),
        ("offline", "W&B is off from here (ConnectionError: no answer)"),
        ("log", "W&B is off from here (ConnectionError: no answer)"),
        ("finish", "W&B is off from here (ConnectionError: no answer)"),
    ],
)
def test_whatever_fails_ends_in_one_line(monkeypatch, fake_wandb, cfg, capfd, broken, text):
    monkeypatch.setenv("BROKEN", broken)
    for sink in open_mirrors(cfg, [0, 1], Path("bn")):
        sink.log({"step": 0})
        sink.log({"step": 1})
        sink.finish({"status": "ok"})
    mirror.close()
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "W&B offline" not in line] == [text]


def test_a_server_that_fails_is_asked_once(monkeypatch, fake_wandb, cfg, capfd):
    monkeypatch.setenv("BROKEN", "key online")
    open_mirrors(cfg, [0, 1, 2], Path("bn"))
    calls = fake_wandb("online", "offline")
    assert [call["call"] for call in calls] == ["online", "offline", "offline", "offline"]
    assert len({call["id"] for call in calls}) == 4
    (line,) = capfd.readouterr().err.splitlines()
    assert "records offline in" in line
    assert "(online: ConnectionError: no answer)" in line


@pytest.mark.parametrize("slow", ["setup", "offline", "log", "finish"])
def test_whatever_hangs_holds_no_row_up_and_ends_within_the_limit(
    monkeypatch, fake_wandb, cfg, caplog, slow
):
    monkeypatch.setenv("BROKEN", f"slow-{slow}")
    monkeypatch.setattr(mirror, "EXIT_SECONDS", 1)
    begin = time.monotonic()
    sinks = open_mirrors(cfg, range(5), Path("bn"))
    for step in range(100):
        for sink in sinks:
            sink.log({"step": step, "inputs/a": (list(range(500)), HISTOGRAM_EDGES)})
    for sink in sinks:
        sink.finish({"status": "ok"})
    assert time.monotonic() - begin < 5
    mirror.close()
    assert time.monotonic() - begin < 10
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "did not end within 1 s" in warning


def test_the_death_of_the_second_process_is_one_warning(fake_wandb, cfg, caplog):
    (sink,) = open_mirrors(cfg, [0], Path("bn"))
    assert isinstance(sink, WandbSink)
    sink.uploader._process.kill()
    sink.uploader._process.wait()
    for step in range(3):
        sink.log({"step": step})
    mirror.close()
    assert [record.getMessage() for record in caplog.records] == ["W&B is off (its process died)"]


def test_a_killed_training_process_leaves_nothing_behind(monkeypatch, fake_wandb, cfg, tmp_path):
    code = (
        "import os, pathlib, signal, sys, time; from tests.run.conftest import Config, Wandb\n"
        "from bnrepro.run import mirror\n"
        "cfg = Config(wandb=Wandb(dir=sys.argv[1]))\n"
        "(sink,) = mirror.open_mirrors(cfg, [0], pathlib.Path('bn'))\n"
        "sink.log({'step': 0}); time.sleep(0.5); print(sink.uploader._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    pid = int(subprocess.run(command, env=environment, stdout=subprocess.PIPE).stdout)
    wait_for_end(pid)
    (end,) = fake_wandb("finish")
    assert end["exit_code"] == 1
