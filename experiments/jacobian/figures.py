"""Figures and tables of Section 3.3's conjecture: singular values and what the argument assumes."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import t_interval
from bnrepro.experiment import Table
from bnrepro.plots.style import RC, arm
from experiments.jacobian.metrics import NEAR, QUANTILES, layer_mean, measured_steps, share_gain

NETWORKS = {"sigmoid": "sigmoid", "relu": "ReLU"}
ARMS = ("random", "baseline", "bn")
FLOOR = 1e-3  # singular values below are drawn here: those of a rank-deficient Jacobian are 0
SHARE = "singular values within [½, 2], %"
PREMISES = {
    "correlation": "mean |correlation| of two units' x",
    "kurtosis": "mean |excess kurtosis| of x",
    "nonlinearity": "‖J − mean J‖ / ‖mean J‖",
}


def shown_width(evidence: Evidence) -> int:
    """4.1's width if it was measured, else the largest."""
    widths: list[int] = unique(evidence.network, "width")
    return 100 if 100 in widths else max(widths)


def grid_of_panels(lines: int, columns: int, height: float) -> tuple[Figure, Any]:
    """A figure with a line of panels for each activation, and the array of its axes."""
    size = (15.5, height * lines)
    return plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")


# --- singular values -----------------------------------------------------------------------------


def values_figure(evidence: Evidence) -> Figure:
    """A row an activation: the spectrum before and after training, its share over steps, widths."""
    activations = unique(evidence.network, "activation")
    width, steps = shown_width(evidence), measured_steps(evidence)
    with plt.rc_context(RC):
        figure, axes = grid_of_panels(len(activations), 4, 3.7)
        for line, activation in zip(axes, activations, strict=True):
            name = NETWORKS[activation]
            for axis, step in zip(line[:2], (steps[0], steps[-1]), strict=True):
                spectrum_panel(axis, evidence, activation=activation, width=width, step=step)
                axis.set_title(f"{name}, width {width}, {moment(step)}")
            share_panel(line[2], evidence, activation, width)
            line[2].set_title(f"{name}, width {width}: over training")
            width_panel(line[3], evidence, activation, steps[-1])
            line[3].set_title(f"{name}, {moment(steps[-1])}: by width")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def moment(step: int) -> str:
    """The step in words."""
    return "as initialised" if step == 0 else f"after {step:,} steps"


def spectrum_panel(axis: Axes, evidence: Evidence, **cell: Any) -> None:
    """Quantiles of the singular values, a line a seed; the band is what counts as close to 1."""
    axis.axhspan(*NEAR, color="#e3e8d4", zorder=0, label="close to 1: within [½, 2]")
    axis.axhline(1, color="black", linewidth=0.7)
    for name in ARMS:
        for i, seed in enumerate(all_seeds(evidence)):
            values = [layer_mean(evidence, f"q{q}", arm=name, seed=seed, **cell) for q in QUANTILES]
            heights = [np.nan if v is None else max(v, FLOOR) for v in values]
            axis.plot(QUANTILES, heights, **line_style(name), label=None if i else arm(name).label)
    axis.set_yscale("log")
    axis.set_ylim(FLOOR, 20)
    axis.set_xlabel("singular values up to this rank, %")
    axis.set_ylabel("singular value of J")


def line_style(name: str) -> dict[str, Any]:
    """How the lines of an arm are drawn."""
    return {"color": arm(name).colour, "linestyle": arm(name).dash, "linewidth": 1.3}


def share_panel(axis: Axes, evidence: Evidence, activation: str, width: int) -> None:
    """The share within [½, 2] over training; level lines are random matrices."""
    axis.set_ylabel(SHARE)
    step_panel(axis, evidence, "share", activation, width, 100)
    for seed in all_seeds(evidence):
        share = layer_mean(evidence, "share", arm="random", width=width, seed=seed)
        if share is not None:
            axis.axhline(100 * share, **line_style("random"))
    axis.set_ylim(0, 100)


def step_panel(
    axis: Axes, evidence: Evidence, column: str, activation: str, width: int,
    factor: float = 1, matrix: str = "example",
) -> None:  # fmt: skip
    """A column over training, a line a seed, on an axis that has room for step 0."""
    steps = measured_steps(evidence)
    for name in ("baseline", "bn"):
        cell = {"activation": activation, "width": width, "arm": name, "matrix": matrix}
        for i, seed in enumerate(all_seeds(evidence)):
            values = [layer_mean(evidence, column, step=s, seed=seed, **cell) for s in steps]
            heights = [np.nan if v is None else factor * v for v in values]
            label = None if i else arm(name).label
            axis.plot(steps, heights, marker=".", label=label, **line_style(name))
    axis.set_xscale("symlog", linthresh=next(filter(None, steps), 1), linscale=0.5)
    axis.set_xticks(steps, [f"{step:,}" for step in steps])
    axis.minorticks_off()
    axis.set_xlabel("training step")


def width_panel(axis: Axes, evidence: Evidence, activation: str, step: int) -> None:
    """The share within [½, 2] at one step against the width, a point a seed."""
    widths = sorted(unique(evidence.network, "width"))
    markers = {"random": "x", "baseline": "s", "bn": "o"}
    for offset, name in enumerate(ARMS):
        for place, width in enumerate(widths):
            cell = {"activation": activation, "width": width, "arm": name, "step": step}
            values = [layer_mean(evidence, "share", seed=s, **cell) for s in all_seeds(evidence)]
            heights = [100 * v for v in values if v is not None]
            x = [place + 0.2 * (offset - 1)] * len(heights)
            look: dict[str, Any] = {"fillstyle": "none", "markersize": 6}
            axis.plot(x, heights, markers[name], color=arm(name).colour, **look)
    axis.set_xticks(range(len(widths)), [str(w) for w in widths])
    axis.set_xlim(-0.5, len(widths) - 0.5)
    axis.set_ylim(0, 100)
    axis.set_xlabel("units a layer")
    axis.set_ylabel(SHARE)


# --- premises ------------------------------------------------------------------------------------


def premises_figure(evidence: Evidence) -> Figure:
    """What the argument assumes, over training: uncorrelated, Gaussian, linear; and J's condition.

    Where J has no full rank, as with ReLU for every example, its mean over the probe is shown.
    """
    activations = unique(evidence.network, "activation")
    width = shown_width(evidence)
    with plt.rc_context(RC):
        figure, axes = grid_of_panels(len(activations), len(PREMISES) + 1, 3.5)
        for line, activation in zip(axes, activations, strict=True):
            for axis, (column, name) in zip(line, PREMISES.items(), strict=False):
                step_panel(axis, evidence, column, activation, width)
                axis.set_ylabel(name)
                axis.set_ylim(bottom=0)
            line[0].set_title(f"{NETWORKS[activation]}, width {width}", loc="left")
            condition_panel(line[-1], evidence, activation, width)
        handles, labels = axes[0, -1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.suptitle(
            "The argument assumes 0 in the first three columns; it concludes 0 in the last"
        )
    return figure


def condition_panel(axis: Axes, evidence: Evidence, activation: str, width: int) -> None:
    """The condition number over training; level lines are random matrices."""
    rows = evidence.where("network", activation=activation, width=width, matrix="example")
    singular = all(row["condition"] is None for row in rows)
    for i, seed in enumerate(all_seeds(evidence)):
        level = layer_mean(evidence, "condition", arm="random", width=width, seed=seed)
        if level is not None:
            axis.axhline(level, label=None if i else arm("random").label, **line_style("random"))
    matrix = "mean" if singular else "example"
    step_panel(axis, evidence, "condition", activation, width, matrix=matrix)
    axis.set_ylabel("log₁₀ condition number of " + ("mean J" if singular else "J"))
    axis.set_ylim(bottom=0)
    if singular:
        axis.set_title("each J alone is singular; gaps: so is the mean", fontsize=9)


FIGURES = {"singular-values": values_figure, "premises": premises_figure}

# --- tables --------------------------------------------------------------------------------------

COLUMNS = {  # of the rows, a factor, and digits
    "share within [½, 2], %": ("share", 100, 1),
    "below ½, %": ("below", 100, 1),
    "above 2, %": ("above", 100, 1),
    "log₁₀ condition": ("condition", 1, 2),
    "|correlation| of x": ("correlation", 1, 3),
}


def tables(evidence: Evidence) -> list[Table]:
    """The networks, and what they are compared with."""
    return [network_table(evidence), random_table(evidence)]


def network_table(evidence: Evidence) -> list[list[str]]:
    """A row a network, before and after training: mean and 95 % interval over seeds."""
    steps = measured_steps(evidence)
    rows = [["network", "step", *COLUMNS, "share, mean J, %"]]
    for activation in unique(evidence.network, "activation"):
        for width in unique(evidence.network, "width"):
            for step in (steps[0], steps[-1]):
                for name in ("baseline", "bn"):
                    cell = {"activation": activation, "width": width, "arm": name, "step": step}
                    values = [interval(evidence, *c, **cell) for c in COLUMNS.values()]
                    values.append(interval(evidence, "share", 100, 1, matrix="mean", **cell))
                    label = f"{NETWORKS[activation]}, width {width}, {arm(name).label}"
                    rows.append([label, f"{step:,}", *values])
    return rows


def interval(evidence: Evidence, column: str, factor: float, digits: int, **cell: Any) -> str:
    """Mean and 95 % interval over seeds of a column, in words of a table."""
    values = [layer_mean(evidence, column, seed=seed, **cell) for seed in all_seeds(evidence)]
    return interval_text(values, factor, digits)


def interval_text(values: Sequence[float | None], factor: float, digits: int) -> str:
    """Mean and interval; for a condition number without bound and for a lost network, a dash."""
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        return "–"
    return t_interval(known).times(factor).text(digits)


def random_table(evidence: Evidence) -> list[list[str]]:
    """What to compare with: random matrices, and the paper's argument in exact arithmetic."""
    header = [
        "width",
        "random matrix: share within [½, 2], %",
        "random matrix: log₁₀ condition",
        "both sides whitened: |J Jᵀ − I|",
        "unit variance alone: |diag(J Jᵀ) − 1|",
        "unit variance alone: |J Jᵀ − I|",
        "unit variance alone: share, %",
    ]
    rows = [header]
    for width in unique(evidence.random, "width"):
        random = {"arm": "random", "width": width}
        exact = evidence.where("exact", width=width)
        keys = ("identity_error", "bn_diagonal_error", "bn_identity_error")
        worst = [f"{max(row[key] for row in exact):.1g}" for key in keys]
        share = interval(evidence, "share", 100, 1, **random)
        condition = interval(evidence, "condition", 1, 2, **random)
        scaled = interval_text([row["bn_share"] for row in exact], 100, 1)
        rows.append([str(width), share, condition, *worst, scaled])
    return rows


# --- answer --------------------------------------------------------------------------------------


def answer(evidence: Evidence) -> str:
    """The answer in one line."""
    width, step = shown_width(evidence), measured_steps(evidence)[-1]
    cell = {"activation": "sigmoid", "width": width, "step": step}
    shares = {a: interval(evidence, "share", 100, 1, arm=a, **cell) for a in ("bn", "baseline")}
    random = interval(evidence, "share", 100, 1, arm="random", width=width)
    claim = {**cell, "at": "last", "arm": "bn"}
    words = [compared(share_gain(evidence, claim | {"against": a})) for a in ("baseline", "random")]
    return (
        f"After {step:,} steps (sigmoid, width {width}) {shares['bn']} % of the singular values "
        f"lie within [½, 2] with BN, {words[0]} without ({shares['baseline']} %) and "
        f"{words[1]} in a random Gaussian matrix ({random} %)."
    )


def compared(gains: Sequence[float | None]) -> str:
    """What the interval of paired differences says."""
    known = [gain for gain in gains if gain is not None]
    if len(known) < max(len(gains), 2):
        return "not comparable with those"
    _, low, high, _ = t_interval(known)
    assert low is not None
    assert high is not None
    return "more than" if low > 0 else "fewer than" if high < 0 else "not clearly other than"
