"""The rule that reads a grid."""

import pytest

from bnrepro.config import GridConfig
from bnrepro.training.search import Cell, best, beyond, extend, score, top

GRID = GridConfig(lr=[], std=[], lr_factor=3.1623, std_factor=10, max_extensions=1, finalists=1)


def scores(peak: Cell) -> dict[Cell, float]:
    cells = [Cell(lr, std) for lr in (0.1, 0.3, 1.0) for std in (0.01, 0.1, 1.0)]
    return {c: 0.9 if c == peak else 0.5 for c in cells}


def test_score_is_the_mean_over_seeds():
    rows = [
        {"lr": 1, "init_std": 2, "seed": s, "test_accuracy": a} for s, a in ((0, 0.5), (1, 0.9))
    ]
    assert score(rows) == {Cell(1, 2): pytest.approx(0.7)}


def test_an_optimum_inside_does_not_extend():
    peak = Cell(0.3, 0.1)
    assert best(scores(peak)) == peak
    assert extend(scores(peak), peak, GRID) == []


def test_an_optimum_at_one_edge_adds_a_column():
    peak = Cell(1.0, 0.1)
    assert extend(scores(peak), peak, GRID) == [Cell(3.16, s) for s in (0.01, 0.1, 1.0)]


def test_an_optimum_in_a_corner_adds_a_row_and_a_column():
    peak = Cell(0.1, 0.01)
    cells = extend(scores(peak), peak, GRID)
    assert len(cells) == 7
    assert Cell(0.0316, 0.001) in cells


def test_of_equals_the_lower_rate_wins():
    assert top({Cell(1, 1): 0.9, Cell(0.1, 1): 0.9, Cell(2, 1): 0.95}, 3) == [
        Cell(2, 1),
        Cell(0.1, 1),
        Cell(1, 1),
    ]


def test_a_grid_of_one_value_grows_beyond_its_edges_alone():
    axis = [0.01, 0.02, 0.04]
    assert beyond(0.04, axis, 2) == [0.08]
    assert beyond(0.01, axis, 2) == [0.005]
    assert beyond(0.02, axis, 2) == beyond(0.04, axis, 1) == []
    assert top({0.1: 0.5, 0.2: 0.5, 0.3: 0.4}, 2) == [0.1, 0.2]
