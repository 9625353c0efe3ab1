"""A curve over seeds: every seed as a point, the mean as a line, its 95 % interval as a band."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from bnrepro.evidence.statistics import t_interval
from bnrepro.plots.style import Arm


def band(
    axis: Axes,
    x: Sequence[float],
    values: Sequence[Sequence[float | None]],
    arm: Arm,
    marker: str = "o",
    interval: bool = True,
) -> None:
    """Draw values[i], one number a seed, at x[i]; numbers that are None are left out."""
    known = [[v for v in row if v is not None] for row in values]
    shown = [(place, row) for place, row in zip(x, known, strict=True) if row]
    if not shown:
        return
    places = [place for place, _ in shown]
    intervals = [t_interval(row) for _, row in shown]
    style: dict[str, Any] = {"color": arm.colour, "linestyle": arm.dash, "label": arm.label}
    axis.plot(places, [i.mean for i in intervals], linewidth=1.8, **style)
    for place, row in shown:
        axis.plot([place] * len(row), row, marker, color=arm.colour, ms=2.6, alpha=0.55)
    if not interval:
        return
    low = [i.mean if i.low is None else i.low for i in intervals]
    high = [i.mean if i.high is None else i.high for i in intervals]
    axis.fill_between(places, low, high, color=arm.colour, alpha=0.13, linewidth=0)
