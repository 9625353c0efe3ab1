"""`launcher=` by submitit's local executor: an arm a job, two data-parallel processes each."""

import json
import subprocess
import sys

import pytest

from bnrepro.config import ROOT
from bnrepro.record import read_rows


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


@pytest.mark.parametrize("name", ["slurm", "submitit_local", "joblib"])
def test_every_launcher_composes(name, tmp_path):
    """Hydra checks each key of the group against the launcher's own schema."""
    command = [sys.executable, "-m", "experiments.inception", f"launcher={name}", "--cfg", "hydra"]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "_launcher" in shown.stdout.split("launcher:")[1]
