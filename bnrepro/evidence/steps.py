"""Steps to a target, the paper's measure of speed (Figure 3), with its censoring kept visible."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bnrepro.evidence.statistics import Interval, exponential, t_interval

Curve = Sequence[tuple[float, float]]  # (step, accuracy), rising in step


def steps_to(curve: Curve, target: float) -> float | None:
    """The first evaluated step with accuracy of at least `target`; None: never reached."""
    return next((step for step, accuracy in curve if accuracy >= target), None)


def best(curve: Curve) -> float:
    """The highest accuracy; beyond reach where a run diverged before its first evaluation."""
    return max((accuracy for _, accuracy in curve), default=math.inf)


class SpeedUp(NamedTuple):
    """ln(steps_against / steps_arm), paired by seed; None where the arm never got there."""

    log_ratios: list[float | None]

    @property
    def censored(self) -> int:
        return self.log_ratios.count(None)

    def ratio(self) -> Interval | None:
        """Geometric mean with t-interval; None as soon as one seed is censored."""
        values = [v for v in self.log_ratios if v is not None]
        return exponential(t_interval(values)) if values and not self.censored else None

    def text(self) -> str:
        interval = self.ratio()
        if interval is not None:
            return interval.text(2)
        return f"never reached in {self.censored} of {len(self.log_ratios)} seeds"


def speed_up(against: Sequence[Curve], arm: Sequence[Curve], share: float = 1.0) -> SpeedUp:
    """Speed of `arm` to each seed's own target: `share` of the best accuracy of `against`."""
    logs: list[float | None] = []
    for plain, other in zip(against, arm, strict=True):
        target = share * best(plain)
        reached, mine = steps_to(plain, target), steps_to(other, target)
        logs.append(None if mine is None or reached is None else math.log(reached / mine))
    return SpeedUp(logs)
