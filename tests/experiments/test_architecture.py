"""Figure 5 counted: printed and counted shapes, and other readings."""

import pytest

from bnrepro.config import compose
from bnrepro.evidence.gather import gather_cells
from bnrepro.models.inception import CHANNELS, FIGURE_5, PARAMETERS
from bnrepro.plots.render import render
from experiments.architecture import EXPERIMENT
from experiments.architecture.__main__ import main
from experiments.architecture.measure import PRINTED, measure
from tests.drawing import more


@pytest.fixture(scope="module")
def cfg():
    return compose("architecture", ["scale=smoke"])


@pytest.mark.parametrize("projection", [128, 96])
def test_widths_and_parameters_are_those_that_the_network_asserts(cfg, projection):
    *stages, count = measure(cfg, None, (projection, True), None)
    modules = [row["width"] for row in stages if row["stage"] in {m.name for m in FIGURE_5}]
    assert tuple(modules) == CHANNELS[projection]
    assert count["parameters"] == PARAMETERS[projection, True]


def test_every_row_of_the_table_is_printed():
    assert {row.name for row in FIGURE_5} < PRINTED.keys()
    assert PRINTED["3c"] == (28, 576)
    assert PRINTED["4e"] == (14, 1024)


def test_the_printed_side_of_a_module_is_that_before_its_stride(cfg):
    stages = {row["stage"]: row for row in measure(cfg, None, (96, True), None) if "stage" in row}
    assert (stages["3c"]["side"], stages["3c"]["output_side"]) == (28, 14)
    assert all(row["width"] == row["printed_width"] for row in stages.values())


@pytest.mark.parametrize("projection", [96, *more(128)])
def test_other_projections_are_counted_as_asked(run, tmp_path, projection):
    words = ["scale=smoke", f"projections=[{projection}]", f"results={tmp_path}"]
    assert run(main, words) == 0
    (folder,) = (tmp_path / "architecture/smoke").glob("sweep*")
    evidence = gather_cells({"sweep": folder})
    assert [row["projection"] for row in evidence.count] == [projection] * 2
    render(EXPERIMENT, evidence, tmp_path / "figures")
    assert "million parameters" in EXPERIMENT.figures.answer(evidence)
