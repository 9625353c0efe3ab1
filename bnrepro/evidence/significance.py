"""How improbable the values of a claim are if chance alone made them, and Holm's correction.

Two tests give verdicts, and the same two give p-values. The t-test is that of the 95 % t-interval,
two-sided: p < 5 % where the interval excludes the criterion's value. The sign test counts the
seeds that agree: n of n do so by chance with a probability of 2⁻ⁿ (`statistics.by_chance`).
"""

import math
from collections.abc import Sequence

LEVEL = 0.05


def t_test(values: Sequence[float], boundary: float) -> float | None:
    """The two-sided p that the mean is the boundary; None without a spread to compare with."""
    n = len(values)
    mean = math.fsum(values) / n
    squares = math.fsum((value - mean) ** 2 for value in values)
    if n < 2 or squares == 0:
        return None
    t = (mean - boundary) / math.sqrt(squares / (n - 1) / n)
    from scipy.special import stdtr  # half a second: only where a p-value is asked for

    return float(2 * stdtr(n - 1, -abs(t)))


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for being one of several (Holm 1979), in the order given.

    Of m values the smallest is multiplied by m, the next by m − 1 and so on; none becomes smaller
    than the one before it, and none larger than 1. Rejecting those below 5 % keeps the probability
    of a single false rejection among all of them below 5 %.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, floor = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = floor
    return adjusted
