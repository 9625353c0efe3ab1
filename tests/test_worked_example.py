"""The worked example of experiments/README.md works as written, and edits nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from bnrepro import ROOT

BLOCK = re.compile(r"^`([\w/.]+)`,[^\n]*\n\n```(?:yaml|python)\n(.*?)```", re.M | re.S)
VERDICT = """
from pathlib import Path
from bnrepro.config.claims import read_claims
from bnrepro.evidence.verdicts import judge
from bnrepro.experiment import find
folder = Path("results/runs/epsilon/smoke/sweep")
evidence = find("epsilon").gather({"sweep": folder}, None)
(claim,) = read_claims("epsilon")
verdict = judge(claim, evidence, "smoke")
print(verdict.verdict, verdict.fixed_before, len(verdict.values))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository's code with the page's files added."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("bnrepro", "configs", "experiments", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = BLOCK.findall((ROOT / "experiments/README.md").read_text("utf-8"))
    assert len(blocks) == 8
    for path, content in blocks:
        target = root / path
        assert not target.exists(), f"{path} would edit a file"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, "utf-8")
    return root


def execute(root, *arguments):
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.thorough
def test_the_example_runs_and_draws(copy):
    execute(copy, "-m", "scripts.run", "epsilon", "scale=smoke")
    folder = copy / "results/runs/epsilon/smoke"
    assert (folder / "figures/variance.png").read_bytes().startswith(b"\x89PNG")
    assert "0, 0.001" in (folder / "figures/table.md").read_text("utf-8")
    summary = json.loads((folder / "sweep/summary.json").read_text("utf-8"))
    assert (summary["status"], summary["rows"]) == ("ok", 6)


@pytest.mark.thorough
def test_the_example_gets_its_verdict(copy):
    if not (copy / "results/runs/epsilon").exists():
        execute(copy, "-m", "scripts.run", "epsilon", "scale=smoke")
    assert execute(copy, "-c", VERDICT).split() == ["holds", "True", "2"]
