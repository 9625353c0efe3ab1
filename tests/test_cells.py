"""Sweeps: cells that are measured side by side leave the record that they leave in turn."""

import json

import pytest

from bnrepro.run.record import read_rows
from experiments.jacobian.__main__ import main

SHORT = ["scale=smoke", "widths=[6,7]", "stops=[0,5]", "activations=[sigmoid]", "lr=[1]"]


@pytest.mark.thorough
def test_cells_side_by_side_leave_the_same_record(run, tmp_path):
    rows = []
    for jobs in (1, 2):
        assert run(main, [*SHORT, f"results={tmp_path / str(jobs)}", f"jobs={jobs}"]) == 0
        (folder,) = (tmp_path / str(jobs) / "jacobian/smoke").iterdir()
        rows.append(read_rows(folder / "metrics.jsonl"))
        assert json.loads((folder / "summary.json").read_text())["cpu_s"] > 0
    assert rows[0] == rows[1] != []
