"""The search engine: one rule for grids of one and of two axes."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from bnrepro.errors import UserError
from bnrepro.training.search import (
    Axis,
    Cell,
    Scores,
    SearchConfig,
    beyond,
    describe,
    extend,
    search,
    top,
)

RATE, STD = Axis([0.1, 0.3, 1.0], 3.1623), Axis([0.01, 0.1, 1.0], 10)
SCORES_OF_GRID = {(lr, std): 0.5 for lr in RATE.values for std in STD.values}


def config(axes: Mapping[str, Sequence[float]], factor: float, **rule: int | None) -> SearchConfig:
    limits = {"max_extensions": 2, "finalists": 1} | rule
    factors = dict.fromkeys(axes, factor)
    return SearchConfig({k: list(v) for k, v in axes.items()}, factors, short=0.25, **limits)


def rounds_of(
    score: Callable[[str, Cell], float],
) -> tuple[list[tuple[str, list[Cell], float]], Callable[[str, Sequence[Cell], float], Scores]]:
    """What is trained, in order, and a `train_round` whose scores are the function's."""
    trained: list[tuple[str, list[Cell], float]] = []

    def train_round(name: str, cells: Sequence[Cell], share: float) -> Scores:
        trained.append((name, list(cells), share))
        return {cell: score(name, cell) for cell in cells}

    return trained, train_round


def test_an_optimum_inside_the_grid_does_not_extend_it():
    assert extend(SCORES_OF_GRID, (0.3, 0.1), [RATE, STD]) == []


def test_an_optimum_at_one_edge_adds_a_column():
    cells = extend(SCORES_OF_GRID, (1.0, 0.1), [RATE, STD])
    assert cells == [(3.16, std) for std in STD.values]


def test_an_optimum_in_a_corner_adds_a_row_and_a_column():
    cells = extend(SCORES_OF_GRID, (0.1, 0.01), [RATE, STD])
    rows = {(lr, 0.001) for lr in RATE.values}
    assert set(cells) == rows | {(0.0316, std) for std in (0.001, *STD.values)}
    assert len(cells) == 7


def test_one_axis_grows_at_its_edges_alone():
    axis = [0.01, 0.02, 0.04]
    assert beyond(0.04, axis, 2) == [0.08]
    assert beyond(0.01, axis, 2) == [0.005]
    assert beyond(0.02, axis, 2) == []


def test_an_axis_with_factor_1_or_a_single_value_never_grows():
    assert beyond(0.04, [0.01, 0.02, 0.04], 1) == []
    assert beyond(0.04, [0.04], 2) == []


def test_of_equals_the_lower_values_win():
    assert top({(0.3,): 0.4, (0.2,): 0.5, (0.1,): 0.5}, 2) == [(0.1,), (0.2,)]
    tied = {(1.0, 1.0): 0.9, (0.1, 1.0): 0.9, (0.1, 0.5): 0.9, (2.0, 1.0): 0.95}
    assert top(tied, 4) == [(2.0, 1.0), (0.1, 0.5), (0.1, 1.0), (1.0, 1.0)]


@pytest.mark.parametrize("others", [{}, {"init_std": [0.01, 0.1, 1.0]}])
def test_a_short_round_then_extensions_then_finalists_at_the_whole_budget(others):
    """The best rate is one step beyond the grid; a second axis changes nothing in the rule."""
    trained, train_round = rounds_of(lambda _, cell: -abs(cell[0] - 2) - abs(sum(cell[1:]) - 0.1))
    cfg = config({"lr": [0.5, 1.0], **others}, 2, finalists=2, max_extensions=3)
    result = search(cfg, train_round)
    assert [name for name, _, _ in trained] == ["grid", "extension-1", "extension-2", "finalists"]
    assert [share for _, _, share in trained] == [0.25, 0.25, 0.25, 1.0]
    assert {cell[0] for cell in trained[1][1]} == {2.0}
    assert {cell[0] for cell in trained[2][1]} == {4.0}
    assert len(trained[3][1]) == 2
    assert result.winner[0] == 2
    assert not result.at_edge
    assert list(result.rounds) == [name for name, _, _ in trained]


@pytest.mark.parametrize("others", [{}, {"init_std": [0.01, 0.1, 1.0]}])
def test_a_winner_at_an_edge_that_no_extension_is_left_for_is_marked(others):
    trained, train_round = rounds_of(lambda _, cell: cell[0])
    result = search(config({"lr": [0.5, 1.0], **others}, 2, max_extensions=1), train_round)
    assert [name for name, _, _ in trained] == ["grid", "extension-1", "finalists"]
    assert (result.winner[0], result.at_edge) == (2, True)


def test_when_a_finalist_wins_at_an_edge_the_best_new_cell_becomes_a_finalist():
    """Short runs prefer 2 of 1, 2, 3; the whole budget prefers the highest rate up to 6."""
    best_short = {1.0: 0.5, 2.0: 0.9, 3.0: 0.8, 6.0: 0.7, 12.0: 0.6}

    def score(name: str, cell: Cell) -> float:
        return min(cell[0], 6) - cell[0] / 100 if "finalist" in name else best_short[cell[0]]

    trained, train_round = rounds_of(score)
    cfg = config({"lr": [1.0, 2.0, 3.0]}, 2, finalists=2, max_extensions=4)
    result = search(cfg, train_round)
    assert [(name, cells) for name, cells, _ in trained] == [
        ("grid", [(1.0,), (2.0,), (3.0,)]),
        ("finalists", [(2.0,), (3.0,)]),
        ("extension-1", [(6.0,)]),
        ("finalist-1", [(6.0,)]),
        ("extension-2", [(12.0,)]),
        ("finalist-2", [(12.0,)]),
    ]
    assert (result.winner, result.at_edge) == ((6.0,), False)


def test_a_search_without_finalists_is_one_round_at_the_whole_budget():
    trained, train_round = rounds_of(lambda _, cell: cell[0])
    cfg = config({"fast": [1, 2, 3, 6]}, 1, finalists=None, max_extensions=0)
    result = search(cfg, train_round)
    assert trained == [("grid", [(1.0,), (2.0,), (3.0,), (6.0,)], 1.0)]
    assert (result.winner, result.at_edge) == ((6.0,), False)  # factor 1: no edge to grow at


def test_the_record_of_a_search_names_winner_rounds_and_scores():
    _, train_round = rounds_of(lambda _, cell: -abs(cell[0] - 2) - abs(cell[1] - 0.1))
    axes = {"lr": [1.0, 2.0, 4.0], "init_std": [0.01, 0.1, 1.0]}
    summary = describe(search(config(axes, 2), train_round), list(axes))
    assert summary["winner"] == {"lr": 2.0, "init_std": 0.1, "score": 0.0}
    assert summary["at_edge"] is False
    assert [1.0, 0.1, -1.0] in summary["rounds"]["grid"]
    assert summary["rounds"]["finalists"] == [[2.0, 0.1, 0.0]]


@pytest.mark.parametrize(
    ("axes", "factors", "words"),
    [
        ({"lr": []}, {"lr": 2}, r"grid\.axes\.lr=\[\]: name at least one"),
        ({"lr": 3}, {"lr": 2}, r"grid\.axes\.lr=3: name at least one"),
        ({"lr": [0.1, -1]}, {"lr": 2}, r"grid\.axes\.lr=.*: each must be greater than 0"),
        ({"lr": [0.1]}, {}, r"grid\.factors\.lr: give the factor"),
        ({"lr": [0.1]}, {"lr": 0.5}, r"grid\.factors\.lr: give the factor"),
    ],
)
def test_a_mistake_in_an_axis_names_its_key(axes, factors, words):
    with pytest.raises(UserError, match=words):
        SearchConfig(axes, factors, max_extensions=1, short=0.5).check("grid.")


def test_the_axes_are_read_in_rising_order():
    (axis,) = config({"lr": [1, 0.1]}, 2).parsed()
    assert (axis.values, axis.factor) == ([0.1, 1.0], 2)
