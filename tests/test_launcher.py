"""`launcher=` by submitit's local executor: an arm a job, two data-parallel processes each."""

import json
import os
import signal
import subprocess
import sys
import time

import hydra
import pytest

from bnrepro import ROOT
from bnrepro.config.compose import HYDRA_VERSION, register
from bnrepro.experiment import stems
from bnrepro.run.record import read_rows
from experiments.inception.__main__ import main
from experiments.mnist.__main__ import main as mnist


@pytest.mark.thorough
def test_submitit_runs_every_arm_as_a_job_of_two_processes(tmp_path):
    command = [
        *(sys.executable, "-m", "experiments.inception", "-m", "variant=bn_x5,bn_baseline"),
        *("scale=smoke", "budget.steps=8", "optim.batch=16", "wandb.mode=disabled"),
        *("launcher=submitit_local", "hydra.launcher.tasks_per_node=2"),
        *(f"results={tmp_path}", f"hydra.sweep.dir={tmp_path}/sweep"),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    summaries = sorted(tmp_path.glob("inception/smoke/*/seed-0/summary.json"))
    assert [json.loads(path.read_text())["status"] for path in summaries] == ["ok", "ok"]
    for path in summaries:
        assert json.loads((path.parent / "meta.json").read_text())["processes"] == 2
        assert read_rows(path.parent / "metrics.jsonl")[-1]["step"] in (4, 8)


def test_a_launcher_without_a_sweep_is_refused_instead_of_training_here(run, tmp_path, capsys):
    assert run(main, ["scale=smoke", "launcher=slurm", f"results={tmp_path}"]) == 2
    assert "-m" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("stem", "name"),
    [("inception", "slurm"), ("inception", "submitit_local"), *((s, "joblib") for s in stems())],
)
def test_every_launcher_composes(stem, name):
    """Hydra checks each key of the group against the schema of the launcher."""
    register(stem)
    with hydra.initialize_config_dir(str(ROOT / "configs"), version_base=HYDRA_VERSION):
        cfg = hydra.compose(stem, [f"launcher={name}"], return_hydra_config=True)
    assert name.split("_")[0] in cfg.hydra.launcher._target_.lower()


@pytest.mark.thorough
def test_ctrl_c_on_jobs_side_by_side_is_one_line_and_ends_all_processes(tmp_path):
    command = [
        *(sys.executable, "-m", "experiments.mnist", "-m", "variant=bn,baseline", "scale=smoke"),
        *("duration.steps=1000000", "wandb.mode=disabled", "hydra/launcher=joblib"),
        *("hydra.launcher.n_jobs=2", f"results={tmp_path}"),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while len(list(tmp_path.rglob("metrics.jsonl"))) < 4:  # two arms, two seeds
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)  # every process holds the pipe
    assert process.returncode == 130
    assert said.count("interrupted: ") == 1
    assert "Traceback" not in said
    statuses = [json.loads(p.read_text())["status"] for p in tmp_path.rglob("summary.json")]
    assert statuses == 4 * ["interrupted"]


@pytest.mark.thorough
@pytest.mark.usefixtures("new_workers")
def test_jobs_side_by_side_say_their_progress_alone(run, tmp_path, capfd):
    words = ["-m", "variant=bn,baseline", "scale=smoke", "hydra/launcher=joblib"]
    assert run(mnist, [*words, "hydra.launcher.n_jobs=2", f"results={tmp_path}"]) == 0
    out = "".join(capfd.readouterr())
    assert "step 60 of 60" in out
    assert "Joblib" not in out
