"""Figures of panels: how they are opened, and what panels share."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure


def panels(
    lines: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, Any]:
    """A figure of that size in inches, and its axes as an array (lines, columns)."""
    options = {"layout": "constrained", **options}
    return plt.subplots(lines, columns, figsize=size, squeeze=False, **options)


def legend_below(
    figure: Figure, axes: Iterable[Axes], columns: int | None = 4, **style: Any
) -> None:
    """One legend for all panels: every label of these axes once, in their order.

    Without a number of `columns` all labels stand beside each other.
    """
    handles = first_handles(axes)
    style = {"loc": "outside lower center", "ncols": columns or len(handles), **style}
    figure.legend(handles.values(), handles, **style)


def legend_in(axis: Axes, **style: Any) -> None:
    """A legend inside a panel, where there is anything to explain: every label once."""
    if handles := first_handles([axis]):
        axis.legend(handles.values(), handles, **style)


def first_handles(axes: Iterable[Axes]) -> dict[str, Any]:
    """What is drawn first under each label of these axes, in their order."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return handles


def name_panels(axes: Iterable[Axes], titles: Iterable[str]) -> None:
    """A letter and what each panel shows, above its left corner."""
    for letter, axis, title in zip("abcdef", axes, titles, strict=False):
        axis.set_title(f"({letter}) {title}", loc="left", fontsize=10)


def log_axes(axis: Axes) -> None:
    """Logarithmic axes, as far as there is something positive to show on them."""
    if math.isfinite(axis.dataLim.minposx):
        axis.set_xscale("log")
    if math.isfinite(axis.dataLim.minposy):
        axis.set_yscale("log")


def ticks_at(
    axis: Axis, values: Iterable[float], texts: Iterable[str] | None = None, **style: Any
) -> None:
    """Plain ticks at these values alone, as a logarithmic axis would not have them."""
    places = list(values)
    axis.set_ticks(places, [f"{v:g}" for v in places] if texts is None else list(texts), **style)
    axis.minorticks_off()


def steps_from_0(axis: Axes, steps: Sequence[int], form: str = "", **scale: Any) -> None:
    """Training steps on a logarithmic axis that has room for step 0, a tick at each of them."""
    axis.set_xscale("symlog", linthresh=next(filter(None, steps), 1), **scale)
    ticks_at(axis.xaxis, steps, [format(step, form) for step in steps])


def ticks_within(axis: Axis, values: Iterable[float]) -> None:
    """Plain ticks at those of these values that lie within the axis."""
    low, high = axis.get_view_interval()
    ticks_at(axis, [value for value in values if low <= value <= high])
