"""Scales gpu and paper from the command line to the summary, with the layout of their data."""

import json

import pytest

from experiments.inception.__main__ import main
from tests.data.pictures import class_folders, tiny_imagenet
from tests.drawing import more

SHORT = ["model.width=0.1", "optim.batch=2", "budget.steps=1", "eval.grid=[[1,1]]", "seeds=1"]
SHORT += ["eval.probe_grid=[[1,1]]", "eval.probe_examples=2", "wandb.mode=disabled"]


@pytest.mark.parametrize(
    ("scale", "layout"), [("gpu", tiny_imagenet), *more(("paper", class_folders))]
)
def test_a_scale_ends_with_a_summary_and_a_checkpoint(scale, layout, run, tmp_path):
    root = layout(tmp_path / "images")
    data = [f"data.root={root}", f"data.cache={tmp_path / 'cache'}"]
    results = tmp_path / "results"
    assert run(main, [f"scale={scale}", *data, *SHORT, f"results={results}"]) == 0
    (path,) = results.rglob("summary.json")
    summary = json.loads(path.read_text())
    assert (summary["status"], summary["steps"]) == ("ok", 1)
    assert len((path.parent / "metrics.jsonl").read_text().splitlines()) == 1
    assert list(results.rglob("checkpoint-seed-0.pt"))
