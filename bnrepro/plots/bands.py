"""A curve over seeds: every seed as a point, the mean as a line, its 95 % interval as a band."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from bnrepro.evidence.statistics import FEWEST, known, t_interval
from bnrepro.plots.curves import mark_diverged
from bnrepro.plots.style import Arm


def band(
    axis: Axes,
    x: Sequence[float],
    values: Sequence[Sequence[float | None]],
    arm: Arm,
    marker: str = "o",
    interval: bool = True,
) -> None:
    """Draw values[i], one number a seed, at x[i].

    Where a number is None, a seed has diverged: a cross says so, and the others have no mean.
    """
    rows = {place: row for place, row in zip(x, values, strict=True) if row}
    intervals = {p: t_interval(known(row)) for p, row in rows.items() if None not in row}
    means = [i.mean for i in intervals.values()]
    axis.plot(list(intervals), means, linewidth=1.8, label=arm.label, **arm.line)
    for place, row in rows.items():
        seeds = known(row)
        axis.plot([place] * len(seeds), seeds, marker, color=arm.colour, ms=2.6, alpha=0.55)
    if interval and intervals and min(i.n for i in intervals.values()) >= FEWEST:
        low, high = zip(*(i.bounds() for i in intervals.values()), strict=True)
        axis.fill_between(list(intervals), low, high, color=arm.colour, alpha=0.13, linewidth=0)
    lost = [place for place in rows if place not in intervals]
    mark_diverged(axis, lost, arm.colour, f"{arm.label}: diverged")
