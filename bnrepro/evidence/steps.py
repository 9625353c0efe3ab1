"""Steps to a target, the paper's measure of speed (Figure 3), with its censoring kept visible."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bnrepro.evidence.statistics import Interval, Values, combine, complete, exponential, t_interval
from bnrepro.evidence.tables import Row

Curve = Sequence[tuple[float, float]]  # (step, accuracy), rising in step


def steps_to(curve: Curve, target: float) -> float | None:
    """The first evaluated step with accuracy of at least `target`; None: never reached."""
    return next((step for step, accuracy in curve if accuracy >= target), None)


def best(curve: Curve) -> float:
    """The highest accuracy; beyond reach where a run diverged before its first evaluation."""
    return max((accuracy for _, accuracy in curve), default=math.inf)


def second_half_growth(rows: Sequence[Row], column: str) -> float | None:
    """ln of a column in the last row over what it was halfway there; None where one is missing."""
    end = rows[-1]
    halfway = [row[column] for row in rows if row["step"] <= end["step"] / 2]
    pair = end[column], halfway[-1] if halfway else None
    return None if None in pair else math.log(pair[0] / pair[1])


class SpeedUp(NamedTuple):
    """ln(steps_against / steps_arm), paired by seed; None where the arm never got there."""

    log_ratios: Values
    without_target: int  # seeds whose `against` diverged before its first evaluation

    def ratio(self) -> Interval | None:
        """Geometric mean with t-interval; None as soon as one seed is censored."""
        there = complete(self.log_ratios)
        return exponential(t_interval(there)) if there else None

    def text(self) -> str:
        """The ratio, or in how many seeds there is none."""
        interval, seeds = self.ratio(), len(self.log_ratios)
        if interval is not None:
            return interval.text(2)
        if self.without_target or not seeds:
            return f"no target in {self.without_target} of {seeds} seeds" if seeds else "–"
        never = f"never reached in {self.log_ratios.count(None)} of {seeds} seeds"
        if (middle := self.median()) is None:
            return never
        return f"{middle:.2f} in the median, {never}"

    def median(self) -> float | None:
        """The median ratio, a seed that never gets there the slowest; None where it is such a seed.

        Of an even number the lower one.
        """
        logs = sorted(-math.inf if log is None else log for log in self.log_ratios)
        middle = logs[(len(logs) - 1) // 2] if logs else -math.inf
        return None if middle == -math.inf else math.exp(middle)


def speed_up(
    against: Sequence[Curve],
    arm: Sequence[Curve],
    share: float = 1.0,
    goal: Callable[[Curve], float] = best,
) -> SpeedUp:
    """Speed of `arm` to each seed's own target: `share` of the best accuracy of `against`.

    `goal`: takes another accuracy than the best from a curve of `against`.
    """
    targets = [share * goal(plain) for plain in against]
    steps = (
        [steps_to(c, t) for c, t in zip(each, targets, strict=True)] for each in (against, arm)
    )
    logs = combine(lambda plain, mine: math.log(plain / mine), *steps)
    return SpeedUp(logs, targets.count(math.inf))
