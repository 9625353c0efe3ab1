"""Accuracy over steps, one look for every experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import t_interval
from bnrepro.plots.style import arm


def mean_and_interval(
    axis: Axes, evidence: Evidence, variant: str, interval: bool = True
) -> tuple[list[float], list[float]]:
    """Every seed faint, their mean and, if asked for, its 95 % interval; returns the mean curve.

    Where some seeds trained and some did not, a mean stands for none: seeds alone are shown.
    """
    label, colour, dash = arm(variant)
    curves = [c for s in evidence.seeds(variant) if (c := evidence.curve(variant, s))]
    if not curves:  # diverged before the first evaluation
        return [], []
    if len({evidence.run(variant, s).get("outcome") for s in evidence.seeds(variant)}) > 1:
        for i, curve in enumerate(curves):
            text = None if i else f"{label} (each seed)"
            axis.plot(*zip(*curve, strict=True), color=colour, linestyle=dash, lw=1.1, label=text)
        return [], []
    for curve in curves:
        axis.plot(*zip(*curve, strict=True), color=colour, alpha=0.25, linewidth=0.6)
    common = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*(set(c) for c in common)))
    intervals = [t_interval([c[step] for c in common]) for step in steps]
    means = [i.mean for i in intervals]
    axis.plot(steps, means, color=colour, linestyle=dash, linewidth=1.8, label=label)
    if interval and len(curves) > 1:
        bounds = np.array([(i.low, i.high) for i in intervals], dtype=float)
        axis.fill_between(steps, *bounds.T, color=colour, alpha=0.2, linewidth=0)
    return steps, means


def percentile_lines(axis: Axes, rows: Sequence[Mapping[str, Any]], variant: str) -> None:
    """The {15, 50, 85}th percentiles of one unit's input over training, in the arm's colour."""
    colour, steps = arm(variant).colour, [r["step"] for r in rows]
    axis.fill_between(
        steps, [r["p15"] for r in rows], [r["p85"] for r in rows], color=colour, alpha=0.15
    )
    for name, dash in (("p15", ":"), ("p50", "-"), ("p85", "--")):
        label = f"{name[1:]}th percentile"
        axis.plot(steps, [r[name] for r in rows], color=colour, linestyle=dash, label=label)
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
