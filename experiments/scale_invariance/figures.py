"""Figures and tables of Section 3.3: the scale of the weights under BN."""

import math
from collections.abc import Sequence
from itertools import cycle
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import known, largest, number_text, ratio_text
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import seed_lines
from bnrepro.plots.panels import legend_below, log_axes, name_panels, panels
from bnrepro.plots.style import Arm, Dash, arm
from experiments.scale_invariance.metrics import (
    ERRORS,
    growths,
    largest_errors,
    log_growth,
    normalized_rows,
    prediction_error,
    probe_error,
    probe_scale,
)

EPS_LOOKS: tuple[tuple[str, Dash], ...] = (
    ("#00335c", "-"),
    ("#3d82b8", (0, (7, 1, 1, 1))),
    ("#8fbfe0", (0, (3, 1))),
)
ARMS = ("baseline", "bn")
CROSSES: dict[str, Any] = {"marker": "x", "markersize": 4, "linestyle": "none"}
FLOOR = 1e-17  # where an error of exactly 0 is drawn
COLUMNS = {
    "loss": "training loss",
    "weight": "hidden weights, ‖W‖",
    "effective_rate": "lr / ‖W‖²",
    "relative_step": "lr ‖∂ℓ/∂W‖ / ‖W‖",
    "gradient_ratio": "gradient at scaled W / at W",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def layer_figure(evidence: Evidence) -> Figure:
    """With BN the scale of a layer's weights changes nothing that flows to the layer below (a),
    and larger weights get smaller gradients in proportion (b); the three equations of Section 3.3
    hold to rounding without the small constant ε, with it the better the smaller ε is, and least
    where weights are tiny (c). Against BN with ε/a² they hold to rounding at every ε (crosses).

    Lines are means over seeds at positive factors; crosses in (a, b) are negative factors.
    """
    figure, (axes,) = panels(1, 3, (10.5, 4))
    flow, pull, error = axes
    norm_panel(flow, evidence, "flow")
    norm_panel(pull, evidence, "pull")
    error_panel(error, evidence)
    flow.set_ylabel("‖∂z/∂u‖, relative to a = 1")
    pull.set_ylabel("‖∂z/∂(aW)‖, relative to a = 1")
    error.set_ylabel("relative error, largest of three")
    name_panels(axes, ("flow to the layer below", "gradient of the weights", "error of the laws"))
    for axis in axes:
        axis.set_xlabel("|a|, the factor on the weights")
        axis.xaxis.set_major_locator(LogLocator(numticks=5))
        axis.xaxis.set_minor_locator(NullLocator())
    legend_below(figure, axes, 3, fontsize=9)
    return figure


def norm_panel(axis: Axes, evidence: Evidence, column: str) -> None:
    """The norm of one derivative over |a|: a line an ε, and one without BN."""
    for eps, look in eps_looks(evidence).items():
        draw_means(axis, normalized_rows(evidence, eps=eps), column, look)
    plain = evidence.where("exact", eps=None)
    draw_means(axis, plain, column, arm("baseline"))
    if column == "pull":
        sizes, _ = means_by_size(plain, column)
        inverse = [1 / size for size in sizes]
        axis.plot(sizes, inverse, color="#999999", linewidth=5, alpha=0.4, label="1/|a|")
    log_axes(axis)
    axis.set_ylim(bottom=1e-5)


def error_panel(axis: Axes, evidence: Evidence) -> None:
    """The equations of ε = 0 (lines) and their form with ε/a² (crosses, at rounding)."""
    for eps, look in eps_looks(evidence).items():
        every = normalized_rows(evidence, eps=eps)
        rows = [r for r in every if abs(r["a"]) != 1] or every  # errors at 1 are 0
        rows = [r | {"error": max(FLOOR, *(r[c] for c in ERRORS))} for r in rows]
        rows = [r | {"prediction_error": max(FLOOR, r["prediction_error"])} for r in rows]
        draw_means(axis, [row for row in rows if row["a"] > 0], "error", look)
        points = means_by_size(rows, "prediction_error")
        axis.plot(*points, color=look.colour, label="(c) against BN with ε/a²", **CROSSES)
    log_axes(axis)


def eps_looks(evidence: Evidence) -> dict[float, Arm]:
    """Every ε of the exact part with BN, rising, with the look of its lines."""
    each = zip(sorted(unique(normalized_rows(evidence), "eps")), cycle(EPS_LOOKS), strict=False)
    return {eps: Arm(f"with BN, ε = {eps:g}", *look) for eps, look in each}


def draw_means(axis: Axes, rows: Sequence[Row], column: str, look: Arm) -> None:
    """A column over |a|: a line for a > 0, crosses for a < 0 if there are any."""
    line = means_by_size([row for row in rows if row["a"] > 0], column)
    axis.plot(*line, linewidth=1.7, label=look.label, **look.line)
    sizes, values = means_by_size([row for row in rows if row["a"] < 0], column)
    if sizes:
        axis.plot(sizes, values, color=look.colour, **CROSSES)


def means_by_size(rows: Sequence[Row], column: str) -> tuple[list[float], list[float]]:
    """|a| in order, and the mean over the rows there."""
    at = grouped([{"size": abs(row["a"]), column: row[column]} for row in rows], "size")
    return sorted(at), [fmean(row[column] for row in at[size]) for size in sorted(at)]


def training_figure(evidence: Evidence) -> Figure:
    """In training, too, a network with BN answers scaled weights with a gradient scaled by the
    inverse, at every rate, which the plain network does not (a); at the highest rate its weights
    grow early and then more slowly (b), over the second half of the run less than the plain
    network's in every seed (c).

    All hidden layers are taken together; a line is a seed, in (a) of every learning rate.
    """
    figure, (axes,) = panels(1, 3, (10.5, 3.8))
    a, lr = probe_scale(evidence), rates(evidence)[-1]
    for name in ARMS:
        every = evidence.where("training", arm=name)
        for rate in rates(evidence):
            rows = [row for row in every if row["lr"] == rate]
            seed_lines(axes[0], rows, "gradient_ratio", arm(name), linewidth=1)
        at_rate = [row for row in every if row["lr"] == lr]
        seed_lines(axes[1], at_rate, "weight", arm(name))
    axes[0].axhline(1 / a, color="black", linewidth=0.8, zorder=1, label="1/a, the law")
    axes[0].set_ylabel(f"‖∂ℓ/∂W‖ at {a:g}W over that at W")
    axes[1].set_ylabel("‖W‖")
    log_axes(axes[0])
    axes[1].set(xscale="log", ylim=(0, None))
    for axis in axes[:2]:
        axis.set_xlabel("training step")
    growth_panel(axes[2], evidence)
    titles = (f"gradient at {a:g} times the weights", f"hidden weights, rate {lr:g}")
    name_panels(axes, (*titles, "growth over the second half"))
    legend_below(figure, axes, 6)
    return figure


def growth_panel(axis: Axes, evidence: Evidence) -> None:
    """By how much ‖W‖ grows over the second half at the highest rate; a line joins a seed's two."""
    each = [growths(evidence, name) for name in ARMS]
    for pair in zip(*each, strict=True):
        ends = [math.nan if v is None else math.exp(v) for v in pair]
        axis.plot(range(2), ends, color="#999999", linewidth=1)
        for place, (name, end) in enumerate(zip(ARMS, ends, strict=True)):
            axis.plot(place, end, "o", color=arm(name).colour)
    axis.set_xticks(range(2), [arm(name).label for name in ARMS])
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set(xlim=(-0.4, 1.4), ylabel="‖W‖ at the end over halfway")


def rates(evidence: Evidence) -> list[float]:
    """The learning rates of the trained networks, rising."""
    return sorted(unique(evidence.training, "lr"))


FIGURES = {"layer": layer_figure, "training": training_figure}


def tables(evidence: Evidence) -> list[Table]:
    """The exact equations, and the ends of the training runs."""
    return [layer_table(evidence), training_table(evidence)]


def layer_table(evidence: Evidence) -> Table:
    """Largest error over seeds and scales, for each ε."""
    rows = [["exact, float64: largest error", "output", "∂/∂u", "∂/∂W", "against ε/a²"]]
    looks = eps_looks(evidence)
    layers = {look.label: normalized_rows(evidence, eps=eps) for eps, look in looks.items()}
    for label, found in (layers | {"without BN": evidence.where("exact", eps=None)}).items():
        worst = (largest(row.get(c) for row in found) for c in (*ERRORS, "prediction_error"))
        rows.append([label, *("–" if v is None else f"{v:.2g}" for v in worst)])
    return rows


def training_table(evidence: Evidence) -> Table:
    """Ends of the runs: means over seeds (geometric for norms)."""
    rows = [["end of training", *COLUMNS.values(), "cos(W, ∂ℓ/∂W), largest"]]
    for name in ARMS:
        for lr in rates(evidence):
            every = evidence.where("training", arm=name, lr=lr)
            last = [each[-1] for each in grouped(every, "seed").values()]
            means = [geometric_mean([row[column] for row in last]) for column in COLUMNS]
            cosine = max((abs(c) for c in known(row["cosine"] for row in every)), default=None)
            rows.append([f"{arm(name).label}, rate {lr:g}", *means, number_text(cosine, ".1g")])
    return rows


def geometric_mean(values: Sequence[float | None]) -> str:
    """Geometric mean over seeds, or how many of them left the finite numbers."""
    there = known(values)
    if not there or len(there) < len(values):
        return f"{len(values) - len(there)} not finite"
    with np.errstate(divide="ignore"):
        return f"{np.exp(np.mean(np.log(there))):.3g}"


def answer(evidence: Evidence) -> str:
    """The answer in one line."""
    sizes = unique(evidence.exact, "a")
    decades = math.log10(max(sizes) / min(size for size in sizes if size > 0))
    count = NUMBERS[round(decades)] if decades in range(len(NUMBERS)) else f"{decades:.2g}"
    three = largest(error for column in ERRORS for error in largest_errors(evidence, column))
    at_zero = f"to {number_text(three, '.0e')} at ε = 0, and " if three is not None else ""
    prediction = number_text(largest(prediction_error(evidence, {})), ".0e")
    a, probe = probe_scale(evidence), largest(probe_error(evidence, {}))
    factor = "doubled weights get half" if a == 2 else f"weights times {a:g} get 1/{a:g} of"
    halved = "some network diverged" if probe is None else f"{factor} the gradient to {probe:.0e}"
    growth = log_growth(evidence, {"arm": "bn", "against": "baseline"})
    finite = growth and None not in growth
    ratio = f"{ratio_text(growth)} times" if finite else "not known beside"
    return (
        f"Over {count} decades of a the three equations hold {at_zero}with ε/a² for every ε and "
        f"sign to {prediction}. In training with BN, {halved}; at the highest rate the growth of "
        f"the weights over the second half of the run is {ratio} that without BN."
    )
