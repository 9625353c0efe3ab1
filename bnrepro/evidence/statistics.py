"""Intervals over seeds. With five seeds a t-interval is honest; a bootstrap would be too narrow."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean with its 95 % t-interval; low and high are None for a single value."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def times(self, factor: float) -> "Interval":
        low, high = (None if b is None else factor * b for b in (self.low, self.high))
        return Interval(factor * self.mean, low, high, self.n)

    def text(self, digits: int) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


class Above(float):
    """A value of which is known only that it lies above this number; above −∞: nothing is."""


Values = list[float | None]  # of a claim's metric; None: the target was never reached


def t_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % t-interval of independent values.

    Raises:
        ValueError: there is no value.
    """
    n = len(values)
    if n == 0:
        raise ValueError("an interval needs at least one value")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def exponential(interval: Interval) -> Interval:
    """An interval of logarithms as one of ratios: the mean becomes the geometric mean."""
    low = None if interval.low is None else math.exp(interval.low)
    high = None if interval.high is None else math.exp(interval.high)
    return Interval(math.exp(interval.mean), low, high, interval.n)
