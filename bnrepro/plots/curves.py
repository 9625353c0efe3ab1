"""Curves over steps, one look for every experiment; what diverged is marked, never left out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bnrepro.evidence.evidence import Evidence, grouped
from bnrepro.evidence.statistics import FEWEST, combine, t_interval
from bnrepro.evidence.tables import Row
from bnrepro.plots.style import Arm, arm, label

Line = tuple[Sequence[float], Sequence[float | None]]  # x and y; None leaves a gap


def lines(axis: Axes, each: Iterable[Line], look: Arm, **style: Any) -> None:
    """Draw lines in an arm's look, the first with its label."""
    for i, (x, y) in enumerate(each):
        text = None if i else look.label
        axis.plot(x, np.array(y, float), label=text, **look.line, **style)


def seed_lines(
    axis: Axes, rows: Sequence[Row], column: str, look: Arm, factor: float = 1,
    cross: bool = True, **style: Any,
) -> None:  # fmt: skip
    """Draw a column over steps, a line a seed, and a cross where a seed diverges."""
    seeds = grouped(rows, "seed").values()
    steps = [[row["step"] for row in each] for each in seeds]
    values = [combine(lambda v: factor * v, [row[column] for row in each]) for each in seeds]
    lines(axis, zip(steps, values, strict=True), look, **{"linewidth": 1.3, **style})
    lost = [x[y.index(None)] for x, y in zip(steps, values, strict=True) if None in y]
    mark_diverged(axis, lost if cross else [], look.colour, f"{look.label}: diverged")


def mark_diverged(
    axis: Axes, places: Sequence[float], colour: str, text: str | None = None
) -> None:
    """A cross at the foot of the axis for everything that left the finite numbers."""
    if places:
        style: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "clip_on": False}
        axis.plot(places, [0.03] * len(places), "x", color=colour, label=text, **style)


def mean_and_interval(
    axis: Axes, evidence: Evidence, variant: str, interval: bool = True,
    of: Callable[[float], float] = float,
) -> tuple[list[float], list[float]]:  # fmt: skip
    """Every seed faint, their mean and, if asked for, its 95 % interval; returns the mean curve.

    What is drawn is `of` the test accuracy.

    Where some seeds trained and some did not, a mean stands for none: seeds alone are shown.
    """
    look, runs = arm(variant), evidence.where("runs", variant=variant)
    found = [c for run in runs if (c := evidence.curve(variant, run["seed"]))]
    curves = [{x: of(y) for x, y in curve} for curve in found]
    alike = len({run.get("outcome") for run in runs}) == 1
    lost = [s for run in runs if (s := run.get("first_non_finite_step")) is not None]
    remark = f", {len(lost)} of {len(runs)} diverged" if lost else "" if alike else " (each seed)"
    look = look._replace(label=label(evidence, variant) + remark)
    mark_diverged(axis, lost, look.colour)
    points = [([*curve], [*curve.values()]) for curve in curves]
    if not (alike and curves):
        lines(axis, points or [([], [])], look, linewidth=1.1)
        return [], []
    for x, y in points:
        axis.plot(x, y, color=look.colour, alpha=0.25, linewidth=0.6)
    steps = sorted(set.intersection(*map(set, curves)))
    intervals = [t_interval([curve[step] for curve in curves]) for step in steps]
    means = [i.mean for i in intervals]
    axis.plot(steps, means, linewidth=1.8, label=look.label, **look.line)
    if interval and len(curves) >= FEWEST:
        low, high = zip(*(i.bounds() for i in intervals), strict=True)
        axis.fill_between(steps, low, high, color=look.colour, alpha=0.2, linewidth=0)
    return steps, means


def percentile_lines(axis: Axes, rows: Sequence[Mapping[str, Any]], variant: str) -> None:
    """The {15, 50, 85}th percentiles of one unit's input over training, in the arm's colour."""
    colour, steps = arm(variant).colour, [r["step"] for r in rows]
    values = {name: [row[name] for row in rows] for name in ("p15", "p50", "p85")}
    axis.fill_between(steps, values["p15"], values["p85"], color=colour, alpha=0.15)
    for (name, each), dash in zip(values.items(), (":", "-", "--"), strict=True):
        axis.plot(steps, each, color=colour, linestyle=dash, label=f"{name[1:]}th percentile")
    step_axis(axis)
    if not rows:
        text = "diverged before it was probed"
        axis.annotate(text, (0.5, 0.6), xycoords="axes fraction", ha="center", fontsize=8)


def step_axis(axis: Axes) -> None:
    """Training steps from 0 on, 10000 written as 10K, the paper's way."""
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(thousands())


def plain_numbers(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 of each decade, written out."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def thousands() -> FuncFormatter:
    """10000 as 10K, the paper's way of writing steps."""
    return FuncFormatter(lambda step, _: f"{step / 1000:g}K" if step >= 1000 else f"{step:g}")
