"""Intervals and steps to target on numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from bnrepro.evidence.drift import at_rank, unit_drift, units_by_drift
from bnrepro.evidence.statistics import (
    Above,
    bootstrap_interval,
    exponential,
    mean,
    mean_text,
    power_text,
    t_interval,
)
from bnrepro.evidence.steps import log_ratio_or_bound, speed_up, steps_to


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0, 5.0, 9.0]
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    interval = t_interval(values)
    assert (interval.mean, interval.n) == (pytest.approx(4.2), 5)
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_an_interval_is_clipped_to_what_the_values_can_be():
    assert mean_text([0.1, 0.9], 0, 100) == "50 [-458, 558]"
    assert mean_text([0.1, 0.9], 0, 100, limits=(0, 1)) == "50 [0, 100]"
    assert mean_text([0.5], 0, 100, limits=(0, 1)) == "50"


def test_the_mean_of_lower_bounds_is_one():
    assert isinstance(mean([1.0, Above(3)]), Above)
    assert mean([1.0, Above(3)]) == 2
    assert not isinstance(mean([1.0, 3.0]), Above)
    assert mean([1.0, None]) is None


def test_a_ratio_in_words_says_that_it_is_a_bound():
    logs = [math.log(4), Above(math.log(4)), Above(-math.inf), None]
    assert [power_text(log) for log in logs] == ["4.0", "> 4.0", "not known", "never"]


def test_one_value_has_no_interval_and_none_is_an_error():
    assert t_interval([2.0])[1:] == (None, None, 1)
    assert t_interval([2.0]).text(1) == "2.0"
    with pytest.raises(ValueError, match="at least one"):
        t_interval([])


def test_an_interval_of_logarithms_becomes_one_of_ratios():
    ratio = exponential(t_interval([math.log(2), math.log(8)]))
    assert ratio.mean == pytest.approx(4)
    assert ratio.low < 4 < ratio.high


CURVE = [(10, 0.5), (20, 0.8), (30, 0.7), (40, 0.9)]


def test_a_bootstrap_over_images_is_as_wide_as_their_differences_say():
    values = np.random.default_rng(1).choice([-1, 0, 1], size=2000, p=[0.05, 0.85, 0.1])
    interval = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert bootstrap_interval(values) == interval
    assert bootstrap_interval(np.full(50, 0.25))[:3] == (0.25, 0.25, 0.25)


def test_steps_to_takes_the_first_evaluation_that_reaches_it():
    assert steps_to(CURVE, 0.8) == 20
    assert steps_to(CURVE, 0.85) == 40
    assert steps_to(CURVE, 0.95) is None


@pytest.mark.parametrize(
    ("more", "less", "expected"),
    [
        (40, 10, math.log(4)),
        (None, 10, Above(math.log(8))),
        (40, None, None),
        (None, None, Above(-math.inf)),  # nothing is known
    ],
)
def test_a_ratio_of_steps_is_a_bound_where_the_first_are_not_enough(more, less, expected):
    found = log_ratio_or_bound(more, less, 80)
    assert found == (None if expected is None else pytest.approx(expected))
    assert type(found) is type(expected)


def test_speed_up_is_paired_by_seed_against_the_best_of_that_seed():
    fast = [(10, 0.95), (40, 0.96)]
    result = speed_up([CURVE, CURVE], [fast, fast])
    assert result.log_ratios == pytest.approx([math.log(4)] * 2)
    assert result.ratio().mean == pytest.approx(4)


def test_a_seed_that_never_gets_there_is_censored_not_averaged():
    slow = [(10, 0.1), (40, 0.85)]
    result = speed_up([CURVE, CURVE], [CURVE, slow])
    assert result.log_ratios == [0.0, None]
    assert result.ratio() is None
    assert "1 of 2" in result.text()
    assert result.text().endswith("seeds")
    assert speed_up([CURVE], [slow], share=0.9).ratio().mean == pytest.approx(1)


def test_drift_sees_motion_of_the_centre_and_of_the_width_apart():
    steps = np.array([0, 1000, 2000, 3000])
    still, moving = np.zeros(4), np.array([50.0, 0.0, 1.0, 2.0])
    widths = np.array([1.0, 1.0, 2.0, 4.0])
    values = np.stack(  # (steps, percentiles, units): one unit's centre moves, the other widens
        [np.stack([moving - 1, moving, moving + 1], 1), np.stack([-widths, still, widths], 1)], 2
    )
    drift = unit_drift(steps, values)
    assert drift["median"] == pytest.approx([1.0, 0.0])  # what came before step 1,000 is left out
    assert drift["relative"] == pytest.approx([0.5, 0.0])
    assert drift["spread"] == pytest.approx([0.0, math.log(2)])


def test_units_are_ranked_by_drift_and_rank_50_is_the_middle_one():
    rows = [
        {"step": 1000 * t, "percentiles": {"training": {"h": [
            [u * t - 1.0 for u in (3, 1, 2)], [1.0 * u * t for u in (3, 1, 2)],
            [u * t + 1.0 for u in (3, 1, 2)]]}}}
        for t in (1, 2, 3)
    ]  # fmt: skip
    assert units_by_drift(rows, "training", "h") == [1, 2, 0]
    assert at_rank([1, 2, 0], 50) == 2
    assert [at_rank(list(range(100)), r) for r in (1, 50, 100)] == [0, 49, 99]
    assert [at_rank(list(range(20)), r) for r in (1, 10, 100)] == [0, 1, 19]
