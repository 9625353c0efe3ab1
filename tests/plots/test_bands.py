"""Bands over seeds: an interval is drawn of three seeds or more."""

import matplotlib.pyplot as plt
import pytest

from bnrepro.plots.bands import band
from bnrepro.plots.style import arm


@pytest.mark.parametrize(("seeds", "intervals"), [(1, 0), (2, 0), (3, 1)])
def test_an_interval_needs_three_seeds_and_every_seed_is_a_point(seeds, intervals):
    figure, axis = plt.subplots()
    band(
        axis, [1, 2], [[0.1 * s for s in range(seeds)], [0.2 * s for s in range(seeds)]], arm("bn")
    )
    assert len(axis.collections) == intervals
    points = [line for line in axis.get_lines() if line.get_marker() == "o"]
    assert [len(line.get_ydata()) for line in points] == [seeds, seeds]
    plt.close(figure)
