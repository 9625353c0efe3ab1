"""Intervals. Over five seeds a t-interval is honest and a bootstrap would be too narrow; over
thousands of test images a bootstrap is neither."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
FEWEST = 3  # seeds of which figures show an interval: that of two fills its panel


class Interval(NamedTuple):
    """A mean with its 95 % t-interval; low and high are None for a single value."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def times(self, factor: float) -> "Interval":
        low, high = (None if b is None else factor * b for b in (self.low, self.high))
        return Interval(factor * self.mean, low, high, self.n)

    def within(self, least: float, most: float) -> "Interval":
        """Clipped to what the quantity can be."""
        low, high = (None if b is None else min(max(b, least), most) for b in self[1:3])
        return self._replace(low=low, high=high)

    def bounds(self) -> tuple[float, float]:
        """Low and high; of a single value, itself."""
        low, high = (self.mean if b is None else b for b in (self.low, self.high))
        return low, high

    def text(self, digits: int) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def mean_text(
    values: Sequence[float | None], digits: int, factor: float = 1, unit: str = "",
    interval: bool = True, lost: str | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> str:  # fmt: skip
    """The mean of `factor` times the values, with its interval, in words of a table.

    `limits` are what a value can be. Where a value is missing there is no mean of the others: it
    says how many are, or `lost`.
    """
    there = known(values)
    if not values or len(there) < len(values):
        diverged = f"{len(values) - len(there)} of {len(values)} diverged" if values else "–"
        return diverged if lost is None else lost
    of_all = t_interval(there).within(*limits).times(factor)
    return (of_all.text(digits) if interval else f"{of_all.mean:.{digits}f}") + unit


def each_text(
    values: Iterable[float | None], digits: int, factor: float = 1, lost: str = "diverged"
) -> str:
    """`factor` times every value, in words of a table."""
    return ", ".join(lost if v is None else f"{factor * v:.{digits}f}" for v in values)


def number_text(value: float | None, form: str = ".3g") -> str:
    """A number in this format, in words where it is not finite."""
    return "not finite" if value is None or math.isinf(value) else format(value, form)


def power_text(log: float | None, form: str = ".1f", lost: str = "never") -> str:
    """A ratio from its logarithm, in words of a table; a bound says that it is one."""
    if log is None:
        return lost
    if log == -math.inf:
        return "not known"
    return f"{'> ' * isinstance(log, Above)}{math.exp(log):{form}}"


def ratio_text(logs: Sequence[float | None], digits: int = 2, lost: str | None = None) -> str:
    """The geometric mean of ratios, from their logarithms, with its interval, in words of a table.

    Where a value is missing it says how many are, or `lost`; a dash where there is none.
    """
    there = known(logs)
    if len(there) < len(logs) or not logs:
        return mean_text(logs, digits, lost=lost if logs else None)
    return exponential(t_interval(there)).text(digits)


class Above(float):
    """A value of which is known only that it lies above this number; above −∞: nothing is."""


Values = list[float | None]  # of a claim's metric; None: not finite, or the target never reached


def known(values: Iterable[float | None]) -> list[float]:
    """The values that there are."""
    return [value for value in values if value is not None]


def combine(f: Callable[..., float | None], *columns: Iterable[float | None]) -> Values:
    """f of the values that belong together; None where one of them is missing."""
    return [None if None in values else f(*values) for values in zip(*columns, strict=True)]


def complete(values: Iterable[float | None]) -> list[float]:
    """The values; none of them where one is missing."""
    found = list(values)
    return [] if None in found else known(found)


def percent(values: Iterable[float | None]) -> Values:
    """Shares in per cent, or their differences in percentage points."""
    return combine(lambda value: 100 * value, values)


def difference(more: float | None, less: float | None) -> float | None:
    """more − less, where either may be a lower bound; None where one is missing."""
    if more is None or less is None:
        return None
    if isinstance(less, Above):
        return Above(-math.inf)
    return Above(more - less) if isinstance(more, Above) else more - less


def largest(values: Iterable[float | None]) -> float | None:
    """None when one of them is missing, or when there is none."""
    return max(complete(values), default=None)


def mean(values: Iterable[float | None]) -> float | None:
    """None when one of them is missing, or when there is none; of lower bounds one too."""
    there = complete(values)
    if not there:
        return None
    of_all = math.fsum(there) / len(there)
    return Above(of_all) if any(isinstance(value, Above) for value in there) else of_all


def upper_median(values: Sequence[float | None]) -> float:
    """The median, of an even number the upper one; a missing value counts as infinite."""
    return sorted(math.inf if value is None else value for value in values)[len(values) // 2]


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
    from scipy.special import stdtrit  # half a second: only where an interval is asked for

    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def by_chance(count: int, n: int) -> float:
    """The probability that at least `count` of n fair coins show heads."""
    from scipy.special import bdtrc  # half a second: only where it is asked for

    return float(bdtrc(count - 1, n, 0.5))


def bootstrap_interval(values: np.ndarray, draws: int = 2000) -> Interval:
    """Mean and 95 % percentile interval of the mean over resampled test images.

    `values` has one number an image, such as the difference of two networks' errors on it: the
    images are drawn anew, with replacement, and both networks see the same ones (paired). The
    draws are the same in every call.
    """
    random, n = np.random.default_rng(0), len(values)
    means = [values[random.integers(n, size=n)].mean() for _ in range(draws)]
    low, high = np.quantile(means, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return Interval(float(values.mean()), float(low), float(high), n)


def exponential(interval: Interval) -> Interval:
    """An interval of logarithms as one of ratios: the mean becomes the geometric mean."""
    low, high = (None if b is None else math.exp(b) for b in (interval.low, interval.high))
    return Interval(math.exp(interval.mean), low, high, interval.n)
