"""Reading a sweep: how a network ended, and the setting that other seeds choose."""

import math

import pytest

from bnrepro.evidence.statistics import Above
from bnrepro.evidence.sweeps import (
    GUESS,
    accuracy,
    best_cell,
    last,
    log_largest_ratio,
    lowest_loss,
    state,
    trains,
)

GOOD = {"outcome": "trained", "train_loss": 0.5, "test_accuracy": 0.9, "step": 5, "seed": 0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "trained"),
        ({"dead_worst": 0.9}, "trained"),
        ({"train_loss": 2.31}, "untrained"),
        ({"outcome": "collapsed"}, "untrained"),
        ({"outcome": "collapsed", "dead_worst": 0.5}, "dead"),
        ({"outcome": "collapsed", "saturated_worst": 1.0}, "saturated"),
        ({"outcome": "collapsed", "saturated_worst": 0.4}, "untrained"),
        ({"outcome": "non-finite", "train_loss": None, "saturated_worst": None}, "non-finite"),
    ],
)
def test_a_network_ends_in_one_of_five_ways(changes, expected):
    row = GOOD | changes
    assert state(row) == expected
    assert trains(row) == (expected == "trained")


def test_a_seeds_setting_is_chosen_by_the_last_losses_of_the_others():
    rows = [
        GOOD | {"seed": seed, "lr": lr, "step": step, "train_loss": loss}
        for seed, lr, step, loss in (
            (0, 1, 5, 0.1), (0, 2, 5, 0.9), (1, 1, 5, 0.8), (1, 2, 5, 0.3),
            (1, 1, 3, 0.0), (2, 1, 5, 0.4), (2, 2, 5, 0.7),
        )
    ]  # fmt: skip
    assert [best_cell(rows, ["lr"], seed)["lr"] for seed in (0, 1, 2)] == [2, 1, 1]
    assert best_cell([row for row in rows if row["seed"] == 1], ["lr"], 1) == {"lr": 2}
    assert {row["step"] for row in last(rows)} == {5}


@pytest.mark.parametrize(
    ("trained", "others", "expected"),
    [
        ([1, 4], [1, 2], math.log(2)),
        ([1, 8], [1, 2], Above(math.log(4))),  # at the highest rate tried
        ([1, 4], [], Above(math.log(4))),  # the others' largest lies below the lowest
        ([1, 4], [8], Above(-math.inf)),  # theirs may lie anywhere above
        ([1, 8], [8], Above(-math.inf)),
        ([], [1], None),
    ],
)
def test_a_largest_rate_at_the_grids_end_is_a_bound(trained, others, expected):
    found = log_largest_ratio(trained, [1, 2, 4, 8], others, [1, 2, 4, 8])
    assert found == (None if expected is None else pytest.approx(expected))
    assert type(found) is type(expected)


def test_the_best_rate_has_the_lowest_loss_and_never_diverged():
    losses = {0.1: [0.5, 0.6], 0.3: [0.3, 0.4], 1.0: [0.0, None]}
    rows = [{"lr": lr, "training_loss": loss} for lr, each in losses.items() for loss in each]
    assert lowest_loss(rows) == 0.3


def test_a_network_that_does_not_train_counts_as_guessing():
    lost = {"outcome": "non-finite", "train_loss": None, "test_accuracy": None}
    rows = [
        GOOD | {"seed": 1, "lr": 1} | lost,
        GOOD | {"seed": 2, "lr": 1, "train_loss": 0.1},
        GOOD | {"seed": 1, "lr": 2, "train_loss": GUESS / 3},
        GOOD | {"seed": 2, "lr": 2, "train_loss": GUESS / 3},
    ]
    assert best_cell(rows, ["lr"], 0) == {"lr": 2}
    assert accuracy(rows[0]) == 0.0
