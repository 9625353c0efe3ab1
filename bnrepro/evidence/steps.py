"""Steps to a target, the paper's measure of speed (Figure 3), with its censoring kept visible."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bnrepro.evidence.statistics import (
    Above,
    Interval,
    Values,
    complete,
    exponential,
    t_interval,
)
from bnrepro.evidence.tables import Row

Curve = Sequence[tuple[float, float]]  # (step, accuracy), rising in step


def curve_of(rows: Sequence[Row], column: str = "test_accuracy", axis: str = "step") -> Curve:
    """The accuracies of a run's rows over another column, as far as they are finite."""
    return [(row[axis], row[column]) for row in rows if row[column] is not None]


def steps_to(curve: Curve, target: float) -> float | None:
    """The first evaluated step with accuracy of at least `target`; None: never reached."""
    return next((step for step, accuracy in curve if accuracy >= target), None)


def steps_text(steps: float | None, last: float) -> str:
    """Steps to a target in words of a table; a bound where it is not reached until the last."""
    return f"> {last:,.0f}" if steps is None else f"{steps:,.0f}"


def log_ratio_to(target: float, arm: Curve, against: Curve) -> float | None:
    """ln(steps_against / steps_arm) to one target; None where one of the two never reaches it."""
    mine, other = steps_to(arm, target), steps_to(against, target)
    return None if mine is None or other is None else math.log(other / mine)


def log_ratio_or_bound(more: float | None, less: float | None, last: float) -> float | None:
    """ln(more / less) of steps to a target; a lower bound where `more` are not enough until the
    last, None where `less` are not. Where neither are, nothing is known."""
    if more is None:
        return Above(-math.inf if less is None else math.log(last / less))
    return None if less is None else math.log(more / less)


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
    logs = [log_ratio_to(*each) for each in zip(targets, arm, against, strict=True)]
    return SpeedUp(logs, targets.count(math.inf))
