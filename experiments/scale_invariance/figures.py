"""Figures and tables of Section 3.3: the scale of the weights under BN."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import exponential, t_interval
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.style import RC, arm
from experiments.scale_invariance.metrics import (
    gradient_error,
    jacobian_error,
    log_growth,
    normalized_rows,
    output_error,
    prediction_error,
    probe_error,
    probe_scale,
)

EPS_STYLES = [("#00335c", "-"), ("#3d82b8", (0, (7, 1, 1, 1))), ("#8fbfe0", (0, (3, 1)))]
RATE_COLOURS: dict[str, list[str]] = {  # from the highest rate down
    "baseline": ["#7a1f00", "#d2622a", "#f0b48c"],
    "bn": ["#00335c", "#3d82b8", "#8fbfe0"],
}
DASHES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1))]
CROSSES: dict[str, Any] = {"marker": "x", "markersize": 4, "linestyle": "none"}
ERRORS = ("output_error", "jacobian_error", "gradient_error")
FLOOR = 1e-17  # where an error of exactly 0 is drawn
COLUMNS = {
    "loss": "training loss",
    "weight": "hidden weights, ‖W‖",
    "effective_rate": "lr / ‖W‖²",
    "relative_step": "lr ‖∂ℓ/∂W‖ / ‖W‖",
    "gradient_ratio": "gradient at scaled W / at W",
}


# --- one layer, exact ----------------------------------------------------------------------------


def layer_figure(evidence: Evidence) -> Figure:
    """Jacobian and weight gradient over |a|, with and without BN, and the errors of both laws."""
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.4), layout="constrained")
        norm_panel(axes[0], evidence, "flow")
        norm_panel(axes[1], evidence, "pull")
        error_panel(axes[2], evidence)
        axes[0].set_title("(a) flow to the layer below, ‖∂z/∂u‖")
        axes[1].set_title("(b) gradient of the weights, ‖∂z/∂(aW)‖")
        axes[2].set_title("(c) error of the equations, largest of the three")
        axes[0].set_ylabel("relative to a = 1")
        axes[1].set_ylabel("relative to a = 1")
        axes[2].set_ylabel("relative error")
        for axis in axes:
            axis.set_xlabel("|a|, the factor on the weights")
        figure.suptitle(
            "z = sigmoid(BN((aW)u)) or sigmoid((aW)u), float64, mean over "
            f"{len(all_seeds(evidence))} seeds; lines a > 0, crosses a < 0"
        )
    return figure


def norm_panel(axis: Axes, evidence: Evidence, column: str) -> None:
    """The norm of one derivative over |a|: a line an ε, and one without BN."""
    for eps, style in eps_styles(evidence):
        rows = normalized_rows(evidence, eps=eps)
        draw_means(axis, rows, column, label=f"with BN, ε = {eps:g}", **style)
    label, colour, dash = arm("baseline")
    plain = evidence.where("exact", eps=None)
    draw_means(axis, plain, column, label=label, color=colour, linestyle=dash)
    if column == "pull":
        sizes = np.array(sorted({abs(row["a"]) for row in plain}))
        axis.plot(sizes, 1 / sizes, color="#999999", linewidth=5, alpha=0.4, label="1/|a|")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(bottom=1e-5)
    axis.legend(fontsize=8.5, handlelength=3)


def error_panel(axis: Axes, evidence: Evidence) -> None:
    """The equations of ε = 0 (lines) and their form with ε/a² (crosses, at rounding)."""
    for eps, style in eps_styles(evidence):
        rows = [r for r in normalized_rows(evidence, eps=eps) if abs(r["a"]) != 1]  # 0 there
        rows = [r | {"error": max(FLOOR, *(r[c] for c in ERRORS))} for r in rows]
        rows = [r | {"prediction_error": max(FLOOR, r["prediction_error"])} for r in rows]
        positive = [row for row in rows if row["a"] > 0]
        draw_means(axis, positive, "error", label=f"with BN, ε = {eps:g}", **style)
        label = "against BN with ε/a², every ε" if eps == 0 else None
        sizes, values = means_by_size(rows, "prediction_error")
        axis.plot(sizes, values, color=style["color"], label=label, **CROSSES)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.legend(fontsize=8.5, handlelength=3, loc="center right")


def epsilons(evidence: Evidence) -> list[float]:
    """Every ε of the exact part with BN, rising."""
    return sorted({row["eps"] for row in normalized_rows(evidence)})


def eps_styles(evidence: Evidence) -> Iterator[tuple[float, dict[str, Any]]]:
    """Every ε with the style of its lines."""
    for eps, (colour, dash) in zip(epsilons(evidence), cycle(EPS_STYLES), strict=False):
        yield eps, {"color": colour, "linestyle": dash}


def draw_means(axis: Axes, rows: Sequence[Row], column: str, **style: Any) -> None:
    """A column over |a|: a line for a > 0, crosses for a < 0 if there are any."""
    sizes, values = means_by_size([row for row in rows if row["a"] > 0], column)
    axis.plot(sizes, values, linewidth=1.7, **style)
    sizes, values = means_by_size([row for row in rows if row["a"] < 0], column)
    if sizes:
        axis.plot(sizes, values, color=style["color"], **CROSSES)


def means_by_size(rows: Sequence[Row], column: str) -> tuple[list[float], list[float]]:
    """|a| in order, and the mean over the rows there."""
    sizes = sorted({abs(row["a"]) for row in rows})
    at = [[row[column] for row in rows if abs(row["a"]) == size] for size in sizes]
    return sizes, [sum(values) / len(values) for values in at]


# --- training ------------------------------------------------------------------------------------


def training_figure(evidence: Evidence) -> Figure:
    """Weights, effective steps and the probe over training: a row an arm, a shade a rate."""
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            2, len(COLUMNS), figsize=(16, 6.2), sharex=True, sharey="col", layout="constrained"
        )
        for line, name in zip(axes, ("baseline", "bn"), strict=True):
            for axis, column in zip(line, COLUMNS, strict=True):
                training_panel(axis, evidence, name, column)
            line[0].set_ylabel(arm(name).label, fontsize=12)
            line[0].legend(fontsize=8.5, handlelength=3, loc="lower left")
        for axis, column in zip(axes[0], COLUMNS, strict=True):
            axis.set_title(COLUMNS[column], fontsize=10.5)
        for axis in axes[1]:
            axis.set_xlabel("training step")
        for axis in axes[:, -1]:
            axis.axhline(1 / probe_scale(evidence), color="black", linewidth=0.8, zorder=1)
        axes[0, -1].set_title(f"gradient at {probe_scale(evidence):g}W / at W", fontsize=10.5)
        figure.suptitle(
            f"All hidden layers together, {len(all_seeds(evidence))} seeds, each a line; "
            "black: 1/a, the gradient's factor by Section 3.3"
        )
    return figure


def training_panel(axis: Axes, evidence: Evidence, name: str, column: str) -> None:
    """A column over training: a shade a rate, a line a seed."""
    styles = cycle(zip(RATE_COLOURS[name], DASHES, strict=True))
    for lr, (colour, dash) in zip(reversed(rates(evidence)), styles, strict=False):
        for i, seed in enumerate(all_seeds(evidence)):
            rows = evidence.where("training", arm=name, lr=lr, seed=seed)
            values = [np.nan if row[column] is None else row[column] for row in rows]
            label = None if i else f"rate {lr:g}"
            steps = [row["step"] for row in rows]
            axis.plot(steps, values, color=colour, linestyle=dash, linewidth=1.2, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")


def rates(evidence: Evidence) -> list[float]:
    """The learning rates of the trained networks, rising."""
    return sorted(unique(evidence.training, "lr"))


FIGURES = {"layer": layer_figure, "training": training_figure}

# --- tables and the answer -----------------------------------------------------------------------


def tables(evidence: Evidence) -> list[Table]:
    """The exact equations, and the ends of the training runs."""
    return [layer_table(evidence), training_table(evidence)]


def layer_table(evidence: Evidence) -> list[list[str]]:
    """Largest error over seeds and scales, for each ε."""
    rows = [["exact, float64: largest error", "output", "∂/∂u", "∂/∂W", "against ε/a²"]]
    for eps in epsilons(evidence):
        found = normalized_rows(evidence, eps=eps)
        worst = [f"{max(row[c] for row in found):.2g}" for c in (*ERRORS, "prediction_error")]
        rows.append([f"with BN, ε = {eps:g}", *worst])
    plain = evidence.where("exact", eps=None)
    worst = [f"{max(row[column] for row in plain):.2g}" for column in ERRORS]
    return [*rows, ["without BN", *worst, "–"]]


def training_table(evidence: Evidence) -> list[list[str]]:
    """Ends of the runs: means over seeds (geometric for norms)."""
    rows = [["end of training", *COLUMNS.values(), "cos(W, ∂ℓ/∂W), largest"]]
    end = max(row["step"] for row in evidence.training)
    for name in ("baseline", "bn"):
        for lr in rates(evidence):
            every = evidence.where("training", arm=name, lr=lr)
            last = [row for row in every if row["step"] == end]
            means = [mean_text([row[column] for row in last]) for column in COLUMNS]
            cosines = [abs(row["cosine"]) for row in every if row["cosine"] is not None]
            cosine = max(cosines, default=float("nan"))
            rows.append([f"{arm(name).label}, rate {lr:g}", *means, f"{cosine:.1g}"])
    return rows


def mean_text(values: Sequence[float | None]) -> str:
    """Geometric mean over seeds, or how many of them left the finite numbers."""
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        return f"{len(values) - len(known)} not finite"
    return f"{np.exp(np.mean(np.log(known))):.3g}"


def answer(evidence: Evidence) -> str:
    """The answer in one line."""
    three, prediction = (
        max(v for metric in metrics for v in metric(evidence, {}) if v is not None)
        for metrics in ((output_error, jacobian_error, gradient_error), (prediction_error,))
    )
    probe = [v for v in probe_error(evidence, {}) if v is not None]
    growth = log_growth(evidence, {"arm": "bn", "against": "baseline"})
    known = [v for v in growth if v is not None]
    ratio = exponential(t_interval(known)).text(2) if known else "nothing finite"
    return (
        f"Over eight decades of a the three equations hold to {three:.0e} at ε = 0, and with "
        f"ε/a² for every ε and sign to {prediction:.0e}. In training with BN, "
        f"doubled weights get half the gradient to {max(probe, default=float('nan')):.0e}; at the "
        f"highest rate the growth of the weights over the second half of the run is {ratio} times "
        "that without BN."
    )
