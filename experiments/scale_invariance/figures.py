"""Figures and tables of Section 3.3: the scale of the weights under BN."""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, unique
from bnrepro.evidence.statistics import exponential, known, largest, number_text, t_interval
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import seed_lines
from bnrepro.plots.panels import log_axes, panels
from bnrepro.plots.style import Arm, Dash, arm
from experiments.scale_invariance.metrics import (
    ERRORS,
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
RATE_COLOURS = {  # from the highest rate down
    "baseline": ("#7a1f00", "#d2622a", "#f0b48c"),
    "bn": ("#00335c", "#3d82b8", "#8fbfe0"),
}
DASHES: tuple[Dash, ...] = ("-", (0, (5, 2)), (0, (1, 1)))
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
    """Jacobian and weight gradient over |a|, with and without BN, and the errors of both laws."""
    figure, (axes,) = panels(1, 3, (13.5, 4.4))
    flow, pull, error = axes
    norm_panel(flow, evidence, "flow")
    norm_panel(pull, evidence, "pull")
    error_panel(error, evidence)
    flow.set(title="(a) flow to the layer below, ‖∂z/∂u‖", ylabel="relative to a = 1")
    pull.set(title="(b) gradient of the weights, ‖∂z/∂(aW)‖", ylabel="relative to a = 1")
    error.set(title="(c) error of the equations, largest of the three", ylabel="relative error")
    for axis in axes:
        axis.set_xlabel("|a|, the factor on the weights")
    figure.suptitle(
        "z = sigmoid(BN((aW)u)) or sigmoid((aW)u), float64, mean over "
        f"{len(all_seeds(evidence))} seeds; lines a > 0, crosses a < 0"
    )
    return figure


def norm_panel(axis: Axes, evidence: Evidence, column: str) -> None:
    """The norm of one derivative over |a|: a line an ε, and one without BN."""
    for eps, look in eps_looks(evidence):
        draw_means(axis, normalized_rows(evidence, eps=eps), column, look)
    plain = evidence.where("exact", eps=None)
    draw_means(axis, plain, column, arm("baseline"))
    if column == "pull":
        sizes, _ = means_by_size(plain, column)
        inverse = [1 / size for size in sizes]
        axis.plot(sizes, inverse, color="#999999", linewidth=5, alpha=0.4, label="1/|a|")
    log_axes(axis)
    axis.set_ylim(bottom=1e-5)
    axis.legend(fontsize=8.5, handlelength=3)


def error_panel(axis: Axes, evidence: Evidence) -> None:
    """The equations of ε = 0 (lines) and their form with ε/a² (crosses, at rounding)."""
    text: str | None = "against BN with ε/a², every ε"
    for eps, look in eps_looks(evidence):
        every = normalized_rows(evidence, eps=eps)
        rows = [r for r in every if abs(r["a"]) != 1] or every  # errors at 1 are 0
        rows = [r | {"error": max(FLOOR, *(r[c] for c in ERRORS))} for r in rows]
        rows = [r | {"prediction_error": max(FLOOR, r["prediction_error"])} for r in rows]
        draw_means(axis, [row for row in rows if row["a"] > 0], "error", look)
        points = means_by_size(rows, "prediction_error")
        axis.plot(*points, color=look.colour, label=text, **CROSSES)
        text = None
    log_axes(axis)
    axis.legend(fontsize=8.5, handlelength=3, loc="center right")


def epsilons(evidence: Evidence) -> list[float]:
    """Every ε of the exact part with BN, rising."""
    return sorted(unique(normalized_rows(evidence), "eps"))


def eps_looks(evidence: Evidence) -> Iterator[tuple[float, Arm]]:
    """Every ε with the look of its lines."""
    for eps, look in zip(epsilons(evidence), cycle(EPS_LOOKS), strict=False):
        yield eps, Arm(f"with BN, ε = {eps:g}", *look)


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
    """Weights, effective steps and the probe over training: a row an arm, a shade a rate."""
    figure, grid = panels(2, len(COLUMNS), (16, 6.2), sharex=True, sharey="col")
    for axes, name in zip(grid, RATE_COLOURS, strict=True):
        for axis, column in zip(axes, COLUMNS, strict=True):
            training_panel(axis, evidence, name, column)
        axes[0].set_ylabel(arm(name).label, fontsize=12)
        axes[0].legend(fontsize=8.5, handlelength=3, loc="lower left")
        axes[-1].axhline(1 / probe_scale(evidence), color="black", linewidth=0.8, zorder=1)
    for axis, title in zip(grid[0], COLUMNS.values(), strict=True):
        axis.set_title(title, fontsize=10.5)
    for axis in grid[1]:
        axis.set_xlabel("training step")
    grid[0, -1].set_title(f"gradient at {probe_scale(evidence):g}W / at W", fontsize=10.5)
    figure.suptitle(
        f"All hidden layers together, {len(all_seeds(evidence))} seeds, each a line; "
        "black: 1/a, the gradient's factor by Section 3.3"
    )
    return figure


def training_panel(axis: Axes, evidence: Evidence, name: str, column: str) -> None:
    """A column over training: a shade a rate, a line a seed."""
    looks = cycle(zip(RATE_COLOURS[name], DASHES, strict=True))
    for lr, look in zip(reversed(rates(evidence)), looks, strict=False):
        rows = evidence.where("training", arm=name, lr=lr)
        seed_lines(axis, rows, column, Arm(f"rate {lr:g}", *look), linewidth=1.2)
    log_axes(axis)


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
    layers = {f"with BN, ε = {e:g}": normalized_rows(evidence, eps=e) for e in epsilons(evidence)}
    for label, found in (layers | {"without BN": evidence.where("exact", eps=None)}).items():
        worst = (largest(row.get(c) for row in found) for c in (*ERRORS, "prediction_error"))
        rows.append([label, *("–" if v is None else f"{v:.2g}" for v in worst)])
    return rows


def training_table(evidence: Evidence) -> Table:
    """Ends of the runs: means over seeds (geometric for norms)."""
    rows = [["end of training", *COLUMNS.values(), "cos(W, ∂ℓ/∂W), largest"]]
    for name in RATE_COLOURS:
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
    ratio = "not known beside"
    if growth and None not in growth:
        ratio = f"{exponential(t_interval(known(growth))).text(2)} times"
    return (
        f"Over {count} decades of a the three equations hold {at_zero}with ε/a² for every ε and "
        f"sign to {prediction}. In training with BN, {halved}; at the highest rate the growth of "
        f"the weights over the second half of the run is {ratio} that without BN."
    )
