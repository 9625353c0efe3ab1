"""Command lines as people type them: each mistake is one line and status 2, before any work."""

import os
import shlex
import subprocess
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from bnrepro import entry
from bnrepro.errors import UserError
from bnrepro.experiment import Experiment, find
from tests.conftest import Run
from tests.drawing import some


@pytest.fixture
def started(monkeypatch) -> list[Any]:
    """The configs of the runs that would be started."""
    configs: list[Any] = []
    measure = SimpleNamespace(run=configs.append)
    monkeypatch.setattr(Experiment, "measure", property(lambda _: measure))
    return configs


@pytest.fixture
def command(run: Run, started, capsys, tmp_path):
    """Call `python -m experiments.<stem>` with a line of words; its status and its last line."""

    def call(line: str) -> tuple[int, str]:
        stem, *words = shlex.split(line)
        words += ["scale=smoke"] if "scale" not in line else []
        words += [f"results={tmp_path}"] if "results" not in line else []
        main = __import__(f"experiments.{stem}.__main__", fromlist=["main"]).main
        status = run(main, words)
        return status, (capsys.readouterr().err.strip().splitlines() or [""])[-1]

    return call


# mnist scale=smoke, and then
WRONG = [
    ("~optim", "optim.lr: has no value"),
    ("~seeds", "seeds: has no value"),
    ("~scale", "scale: has no value"),
    ("~variant", "variant: has no value"),
    ("~data", "data.name: has no value"),
    ("~eval.grid", "eval.grid"),
    ("data=null", "data=null: one name is needed; there are cifar10, fashion_mnist"),
    ("wandb=null", "wandb=null: one name is needed; there are default"),
    ("variant=null", "one name is needed; there are baseline, baseline_tuned, bn, bn_tuned"),
    ("variant=", "variant=: one name is needed; there are baseline"),
    ("scale=", "scale=: one name is needed; there are paper, smoke"),
    ("variant=[bn,baseline]", "variant=[bn,baseline]: one name is needed"),
    ("scale=[smoke,paper]", "one name is needed; there are paper, smoke"),
    ("data=[mnist]", "one name is needed"),
    ("variant=5", "one name is needed"),
    ("variant=bnn", "Could not find 'variant/bnn' Available options in 'variant': baseline"),
    ("variant=bn variant=baseline", "variant: given twice"),
    ("model=null", "model=null: needs a value"),
    ("optim=5", "optim: "),
    ("model.hidden=[[100]]", "each must be a single value"),
    ("eval.grid=[10,5]", "eval.grid=[10,5] Invalid value assigned: int is not"),
    ("eval.grid=[[60,true]]", "eval.grid=[[60, True]]: give pairs [until, every]"),
    ("experiment=jacobian", "experiment: has no effect here; the command decides it"),
    ("force=2", "force=2: true or false"),
    ("data.stream=7", "data.stream=7: true or false"),
    ("force=maybe", "force: "),
    ("seeds=${foo}", "seeds: Interpolation key 'foo' not found"),
    ("results=${oc.env:NOPE}", "NOPE"),
    ("launcher=foo", "Available options in 'launcher': joblib slurm submitit_local"),
    ("hydra/launcher=foo", "Available options in 'hydra/launcher': basic joblib"),
    ("hydra/job_logging=foo", "Available options in 'hydra/job_logging'"),
    ("hydra=5", "hydra=5: the name of one of Hydra's files is needed"),
    ("hydra.foo=5", "hydra.foo: no such key"),
    ("hydra.run.dir=/proc/x", "/proc/x: No such file or directory; check the path"),
    ("-m hydra.sweep.dir=/proc/x", "/proc/x: No such file or directory; check the path"),
    ("hydra.run.dir=null", "hydra.run.dir=null: needs a value"),
    ("optim.lr=0.1,0.3", "optim.lr=0.1,0.3: several values; a list is written [a,b]"),
    ("optim.lr=choice(0.1)", "several values"),
    ("model.hidden=50", "model.hidden: a list is needed, written [1,2]"),
    ("bn", "bn: settings are given as key=value"),
    ("=5", "=5: settings are given as key=value"),
    ("pace=1", "pace: no such key; allowed here are experiment, variant"),
    ("optim.lrr=1", "optim.lrr: no such key (did you mean lr?)"),
    ("+foo=1", "foo: no such key"),
    ("+optim.lr=1", "optim.lr"),
    ("++foo.bar=1", "foo: no such key"),
    ("~foo", "'foo' does not exist"),
    ("--seeds 5", "unrecognized arguments: --seeds; settings are given as key=value"),
    ("-x", "-x; settings are given as key=value"),
    ("--cfg foo", "invalid choice: 'foo'"),
    ("-r -m", "Only one of --run, --multirun"),
    ("--config-name foo", "Cannot find primary config 'foo'"),
    ("--config-dir /nonexistent", "'/nonexistent' not found"),
    ("--experimental-rerun /nonexistent", "/nonexistent does not exist"),
    ("seeds=[1,2", "seeds=[1,2: cannot be read; a list is written [1,2]"),
    ("optim.lr=foo(1)", "optim.lr=foo(1): cannot be read"),
    ("-m variant=glob(x*)", "variant=glob(x*): no such variant; there are baseline"),
    ("-m variant=bn,bn", "variant=bn,bn: names bn twice"),
    ("-m optim.lr=0.1,0.1", "names 0.1 twice"),
    ("-m seeds=[0],[0]", "names [0] twice"),
    ("-m seeds=range(5,5)", "no value"),
    ("-m seeds=range(0,1,0)", "no value"),
    ("-m seeds=range(1,5000000000)", "more than 10,000 jobs"),
    ("-m seeds=shuffle(range(1,5000000000))", "more than 10,000 jobs"),
    ("-m seeds=range(0,1000) threads=range(0,1000)", "more than 10,000 jobs"),
    ("-m optim.lr=interval(0,1)", "an interval has no end of values"),
    ("-m variant=bnn", "variant/bnn"),
    ("-m hydra.sweeper.max_batch_size=0", "AssertionError"),
    ("-m hydra/launcher=joblib hydra.launcher.n_jobs=0", "n_jobs=0: must be a whole number from 1"),
    ("-m hydra/launcher=joblib hydra.launcher.n_jobs=100000", "from 1 to 256"),
]


@pytest.mark.parametrize(("words", "expected"), some(WRONG, 3))
def test_a_mistake_is_one_line_before_any_work(command, started, words, expected):
    status, line = command(f"mnist {words}")
    assert line.startswith("error: ")
    assert expected in line
    assert status == 2
    assert not started


# a value that Hydra's grammar refuses or takes for something else, and its quoted form
UNQUOTED = [
    ("data.root", "~/photos"),
    ("data.root", "/data/run=3/photos"),
    ("data.root", "/data/a[1]/photos"),
    ("data.root", "/data/фото"),
    ("data.cache", "/data/{x}"),
    ("results", "ü"),
    ("results", "it's"),
    ("results", "C:\\runs\\ü"),
    ("results", "true"),
    ("results", "1e5"),
    ("wandb.dir", "~"),
    ("wandb.project", "#1"),
    ("wandb.entity", "true"),
]


@pytest.mark.parametrize(("key", "value"), some(UNQUOTED, 4))
def test_a_text_that_needs_quotes_is_shown_with_them(command, started, key, value, monkeypatch):
    monkeypatch.delenv("MAKELEVEL", raising=False)
    status, line = command(f"mnist {shlex.quote(f'{key}={value}')}")
    assert (status, started) == (2, [])
    assert line.startswith(f"error: {key}={value}: quote the value")
    quoted = line.split("otherwise: ")[1]
    assert command(f"mnist {quoted}")[0] == 0
    section, _, name = key.rpartition(".")
    cfg = getattr(started[0], section) if section else started[0]
    assert getattr(cfg, name) == value


@pytest.mark.parametrize("value", ["~/photos", "it's", '~/a "b" $c `d`'])
def test_after_make_the_quotes_are_those_that_make_passes_on(
    command, started, monkeypatch, tmp_path, value
):
    monkeypatch.setenv("MAKELEVEL", "1")
    _, line = command(f"mnist {shlex.quote(f'data.root={value}')}")
    (tmp_path / "Makefile").write_text("show:\n\t@printf '%s' $(ARGS)\n", "utf-8")
    typed = f"make -s -C {tmp_path} --no-print-directory show {line.split('otherwise: ')[1]}"
    passed = subprocess.run(typed, shell=True, capture_output=True, text=True, check=True).stdout
    assert command(f"mnist {shlex.quote(passed)}")[0] == 0
    assert started[0].data.root == value


@pytest.mark.parametrize("place", ["-m {} {}", "{} -m {}", "{} {} -m", "--multirun {} {}"])
def test_m_may_stand_anywhere(command, started, place):
    assert command("mnist " + place.format("seeds=1,2", "variant=bn"))[0] == 0
    assert [(cfg.variant, cfg.seeds) for cfg in started] == [("bn", 1), ("bn", 2)]


def test_an_option_and_its_value_may_stand_anywhere(command, started, capsys):
    assert command("mnist seeds=7 --cfg job optim.lr=0.25")[0] == 0
    assert not started


def test_the_last_line_says_what_draws_the_figure(command, started, caplog, monkeypatch):
    caplog.set_level("INFO")
    assert command("mnist 'seeds=[3,4]' hydra.verbose=false")[0] == 0
    (words,) = (r.getMessage().split() for r in caplog.records if "figure" in r.getMessage())
    assert words[3:-2] == ["python", "-m", "scripts.render", "mnist", "'seeds=[3,4]'"]
    assert (words[-2], words[-1].partition("=")[0]) == ("scale=smoke", "results")
    caplog.clear()
    command("mnist -m seeds=1,2")
    monkeypatch.setenv(entry.DRAWN, "1")  # as `make` draws it
    command("mnist")
    assert len(started) == 4
    assert "figure" not in caplog.text


def test_a_glob_stands_for_the_arms_that_it_matches(command, started):
    assert command("mnist -m variant=glob(*tuned)")[0] == 0
    assert [cfg.variant for cfg in started] == ["baseline_tuned", "bn_tuned"]


@pytest.mark.parametrize(
    "place",
    [
        {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "RANK": "0", "WORLD_SIZE": "2"},
        {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_JOB_ID": "7", "SUBMITIT_LOCAL_NTASKS": "2"},
    ],
    ids=["torchrun", "submitit"],
)
def test_several_processes_are_for_the_experiments_that_can(command, started, place):
    with patch.dict(os.environ, place):
        status, line = command("mnist")
        assert status == 2
        assert line == (
            "error: mnist runs in one process, 2 were started: leave torchrun or tasks_per_node "
            "out; experiments that several processes share: ensemble, inception"
        )
        assert find("inception").data_parallel
        assert command("inception")[0] == 0
        assert len(started) == 1


ENVIRONMENT = [
    ({"RANK": "x"}, "RANK='x': the environment must have a whole number"),
    ({"RANK": ""}, "RANK=''"),
    ({"RANK": "-1"}, "RANK='-1'"),
    ({"RANK": "1.5"}, "RANK='1.5'"),
    ({"RANK": "1"}, "RANK=1, WORLD_SIZE=1: ranks go from 0"),
    ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
    ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 without RANK, MASTER_ADDR, MASTER_PORT"),
    ({"WORLD_SIZE": "2", "RANK": "0"}, "without MASTER_ADDR, MASTER_PORT"),
    ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0"),
    ({"LOCAL_RANK": "a"}, "LOCAL_RANK='a'"),
    ({"LOCAL_WORLD_SIZE": "a"}, "LOCAL_WORLD_SIZE='a'"),
    ({"MASTER_PORT": "a"}, "MASTER_PORT='a'"),
    ({"MASTER_PORT": "99999"}, "ports go up to 65535"),
    ({"SLURM_RESTART_COUNT": "once"}, "SLURM_RESTART_COUNT='once'"),
    ({"SUBMITIT_EXECUTOR": "slurm", "SLURM_NTASKS": "x"}, "SLURM_NTASKS='x'"),
    ({"SUBMITIT_EXECUTOR": "slurm", "SLURM_PROCID": ""}, "SLURM_PROCID=''"),
    ({"OMP_NUM_THREADS": "x"}, "OMP_NUM_THREADS='x'"),
    ({"OMP_NUM_THREADS": "0"}, "OMP_NUM_THREADS='0'"),
    ({"OMP_NUM_THREADS": "1000000"}, "OMP_NUM_THREADS='1000000'"),
]


@pytest.mark.parametrize(("settings", "expected"), ENVIRONMENT)
def test_a_malformed_environment_is_one_line(command, started, monkeypatch, settings, expected):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    status, line = command("inception")
    assert (status, started) == (2, [])
    assert expected in line


def test_numbers_of_a_launcher_are_allowed(command, started, monkeypatch):
    for name, value in {"OMP_NUM_THREADS": "4,2", "SLURM_RESTART_COUNT": "3", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert command("inception")[0] == 0
    assert started


def test_each_failed_job_of_a_sweep_is_one_line_and_the_others_go_on(run, monkeypatch, capsys):
    done = []

    def measure(cfg: Any) -> None:
        if cfg.variant.startswith("bn"):
            raise UserError(f"{cfg.variant}: no")
        done.append(cfg.variant)

    namespace = SimpleNamespace(run=measure)
    monkeypatch.setattr(Experiment, "measure", property(lambda _: namespace))
    words = ["-m", "variant=bn,baseline,bn_tuned", "scale=smoke"]
    assert run(__import__("experiments.mnist.__main__", fromlist=["main"]).main, words) == 2
    assert capsys.readouterr().err.splitlines() == ["error: bn: no", "error: bn_tuned: no"]
    assert done == ["baseline"]
