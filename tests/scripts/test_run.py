"""`make <experiment>`: which processes it starts, and what their failing does."""

import sys
from types import SimpleNamespace

import pytest

from bnrepro import entry
from bnrepro.cli import guard
from bnrepro.config import variants
from bnrepro.config.compose import arms_at
from bnrepro.errors import UserError
from scripts import run as script


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """The commands that would be started, which all end well."""
    commands: list[list[str]] = []

    def start(command, env):
        assert entry.DRAWN in env
        commands.append([*command[2:], *(["lines"] if env.get("TTY_COMPATIBLE") == "0" else [])])
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    monkeypatch.setattr(script.subprocess, "Popen", start)
    return commands


def test_a_sweep_is_one_process_and_then_its_figures(run, started):
    assert run(script.main, ["bias_growth", "scale=smoke"]) == 0
    assert started == [
        ["experiments.bias_growth", "scale=smoke"],
        ["scripts.render", "bias_growth", "scale=smoke"],
    ]


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_the_experiments_own(run, started, word):
    assert run(script.main, ["mnist", word]) == 0
    assert started == [["experiments.mnist", word]]


def test_every_arm_is_trained_unless_one_is_named(run, started, monkeypatch):
    monkeypatch.setattr(script, "cores", lambda: 1)
    run(script.main, ["mnist", "scale=smoke"])
    arms = ",".join(variants("mnist"))
    assert started[0] == ["experiments.mnist", "-m", f"variant={arms}", "scale=smoke"]
    run(script.main, ["mnist", "variant=bn", "optim.lr=0.5"])
    assert started[2:] == [
        ["experiments.mnist", "-m", "variant=bn", "optim.lr=0.5"],
        ["scripts.render", "mnist", "variant=bn", "optim.lr=0.5"],
    ]


def test_arms_side_by_side_share_the_cores_and_report_in_lines(run, started, monkeypatch):
    monkeypatch.setattr(script, "cores", lambda: 5)
    run(script.main, ["inception", "scale=smoke"])
    assert started[0] == [
        "experiments.inception", "-m", f"variant={','.join(arms_at('inception'))}",
        "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "threads=3", "scale=smoke", "lines",
    ]  # fmt: skip


@pytest.mark.parametrize(("cores", "jobs", "threads"), [(2, 2, 1), (4, 4, 1), (16, 4, 4)])
def test_there_are_no_more_arms_at_once_than_cores(run, started, monkeypatch, cores, jobs, threads):
    monkeypatch.setattr(script, "cores", lambda: cores)
    run(script.main, ["mnist"])
    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}", f"threads={threads}"]
    assert started[0][3:] == [*launcher, "lines"]


def test_a_failing_process_ends_the_command_with_its_status(run, monkeypatch):
    real = [sys.executable, "-c", "raise SystemExit(3)"]
    calls = []

    def fail(command, env, usual=script.subprocess.Popen):
        calls.append(command[2])
        return usual(real, env=env)

    monkeypatch.setattr(script.subprocess, "Popen", fail)
    assert run(script.main, ["mnist", "scale=smoke"]) == 3
    assert calls == ["experiments.mnist"]


BY_TERMINAL = "os.kill(os.getppid(), signal.SIGINT); print('interrupted'); raise SystemExit(130)"
ALONE = """os.kill(os.getppid(), signal.SIGINT)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('interrupted')
    raise SystemExit(130)"""
AS_IT_ENDED = "os.kill(os.getppid(), signal.SIGINT)"
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def one(tmp_path, monkeypatch):
    """Run `scripts.run` of an experiment whose command is another program."""

    def call(program: str, run) -> int:
        (tmp_path / "experiment.py").write_text(f"import os, signal, time\n{program}\n", "utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(script, "GRACE", 0.5 if program == ALONE else 60)
        return run(lambda: guard(lambda: script.execute("experiment")), [])

    return call


@pytest.mark.parametrize("program", [BY_TERMINAL, ALONE], ids=["terminal", "this process alone"])
def test_ctrl_c_waits_for_the_command_which_says_so_alone(program, one, run, capfd):
    assert one(program, run) == 130
    assert capfd.readouterr() == ("interrupted\n", "")


def test_ctrl_c_as_the_command_ends_begins_nothing_more(one, run, capfd):
    assert one(AS_IT_ENDED, run) == 130
    assert capfd.readouterr().err == f"interrupted: {entry.AGAIN}\n"


def test_a_command_that_was_killed_is_one_line(one, run, capfd):
    assert one(KILLED, run) == 2
    assert capfd.readouterr().err == f"error: experiment: ended by SIGKILL; {entry.AGAIN}\n"


def test_an_unknown_experiment_is_named_with_those_that_exist(run, started):
    with pytest.raises(UserError, match=r"name an experiment to run; .*jacobian, .*mnist"):
        run(script.main, ["mnits"])
    assert started == []
