"""Command lines of the scripts: one line for what they do not take, and `~` in every path."""

import shlex
from importlib import import_module

import pytest

from bnrepro.cli import guard
from bnrepro.config import compose
from bnrepro.config.identity import group_folder
from scripts import compare, wandb_runs
from scripts import run as script

WRONG = [
    ("report foo", "foo: this command takes no arguments"),
    ("report --help", "--help: this command takes no arguments"),
    ("bench foo", "error: foo: no part of the bench; parts are slots, bn, inception"),
    ("bench_dashboard foo", "foo: this command takes no arguments"),
    ("dashboard --watch --port 99999", "--port 99999: ports are 0 to 65535; choose another one"),
    ("dashboard --watch --port -1", "--port -1: ports are 0 to 65535; choose another one"),
    ("compare --into", "arguments: --into; python -m scripts.compare --help shows what there is"),
    ("dashboard --port x", "argument --port: invalid int value: 'x'; python -m scripts.dashboard"),
    ("figures foo", "name an experiment, or none for all; experiments are ablation"),
    ("figures mnist jacobian", "jacobian: name one experiment, or none for all"),
    ("publish", "name an experiment to publish"),
    ("publish mnist foo", "publish takes scale, data.root"),
    ("publish mnist seeds=2", "publish takes scale, data.root"),
    ("publish mnist scale=smoke", "never published"),
    ("publish mnist scale=", "scale=: one name is needed; there are paper, smoke"),
    ("publish mnist scale=huge", "scale/huge"),
    ("verify", "name an experiment to verify"),
    ("verify mnits", "experiments are ablation"),
    ("verify mnist scale=smoke data=null", "data=null: one name is needed"),
    ("render", "name an experiment, and the overrides"),
    ("render mnist bn", "bn: settings are given as key=value"),
    ("render mnist -m", "-m: settings are given as key=value"),
    ("render mnist ~optim", "optim.lr: has no value"),
    ("render mnist results=~/runs", "quote the value"),
    ("render mnist variant=", "variant=: one name is needed"),
    ("render mnist variant=[bn]", "variant=[bn]: one name is needed"),
    ("render mnist variant=bn,bn", "variant=bn,bn: names bn twice"),
    ("render mnist optim.lr=0.1,0.3", "optim.lr=0.1,0.3: several values"),
    ("run", "name an experiment to run"),
    ("run mnist bn", "settings are given as key=value; python -m experiments.mnist --help"),
    ("run mnist optim.lr=0.1,0.3", "optim.lr=0.1,0.3: several values"),
    ("run mnist variant=bn,bn", "variant=bn,bn: names bn twice"),
    ("run mnist scale=huge", "scale/huge"),
    ("run jacobian widths=[0]", "widths=[0]"),
    ("plan foo", "foo: settings are given as key=value"),
    ("plan variant=bn_x5,bn_x5", "variant=bn_x5,bn_x5: names bn_x5 twice"),
    ("compare", "name run folders"),
    ("compare /nonexistent", "no finished run in /nonexistent"),
    ("compare /tmp /tmp/", "/tmp: named twice"),
]


@pytest.mark.parametrize(("words", "expected"), WRONG)
def test_a_mistake_is_one_line_and_starts_nothing(run, capsys, monkeypatch, words, expected):
    monkeypatch.setattr(script.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    name, *arguments = shlex.split(words)
    module = import_module(f"scripts.{name}")
    assert run(lambda: guard(module.main), arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert expected in line


@pytest.mark.parametrize(
    ("name", "usage"), [("plan", 'ARGS="variant=bn_x5 processes=8"'), ("claims", "mnist fails")]
)
def test_help_shows_what_a_script_is_for(run, capsys, name, usage):
    assert run(lambda: guard(import_module(f"scripts.{name}").main), ["--help"]) == 0
    page = capsys.readouterr().out
    assert usage in page
    assert page.startswith(f"usage: python -m scripts.{name} ")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_results_may_lie_in_the_home_folder(home):
    cfg = compose("mnist", ["scale=smoke", "results='~/runs'"])
    assert group_folder(cfg, "synthetic") == home / "runs/mnist/smoke/baseline"


def test_folders_to_compare_and_their_target_may_lie_in_the_home_folder(run, home, capsys):
    (home / "runs").mkdir()
    assert run(lambda: guard(compare.main), ["~/runs", "--to", "~/figures"]) == 2
    assert f"no finished run in {home}/runs" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["view", "sync"])
def test_wandb_runs_may_lie_in_the_home_folder(run, home, capsys, action):
    assert run(lambda: guard(wandb_runs.main), [action, "--dir", "~/x"]) == 2
    assert f"{home}/x/wandb" in capsys.readouterr().err


def test_a_sweep_is_started_without_figures(run, monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(script, "execute", lambda *command: commands.append(command))
    assert run(lambda: guard(script.main), ["mnist", "optim.lr=0.1,0.3", "-m"]) == 0
    assert commands == [("experiments.mnist", "optim.lr=0.1,0.3", "-m")]
    assert "make compare" in capsys.readouterr().out


def test_hydras_own_settings_do_not_trouble_the_figures():
    assert compose("inception", ["scale=smoke", "hydra.launcher.n_jobs=4"]).scale == "smoke"
