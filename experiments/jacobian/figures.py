"""Figures of Section 3.3's conjecture: the singular values, and what the argument assumes."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.sweep_evidence import SweepEvidence, seeds, unique
from bnrepro.plots.style import RC, arm
from experiments.jacobian.metrics import NEAR, QUANTILES, times, value

NETWORKS = {"sigmoid": "sigmoid", "relu": "ReLU"}
ARMS = ("random", "baseline", "bn")
FLOOR = 1e-3  # singular values below are drawn here: those of a rank-deficient Jacobian are 0


def shown_width(evidence: SweepEvidence) -> int:
    """4.1's width if it was measured, else the largest."""
    widths: list[int] = unique(evidence.where(part="network"), "width")
    return 100 if 100 in widths else max(widths)


def values_figure(evidence: SweepEvidence) -> Figure:
    """A row an activation: the spectrum before and after training, its share over steps, widths."""
    activations = unique(evidence.where(part="network"), "activation")
    width, ts = shown_width(evidence), times(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(activations),
            4,
            figsize=(15.5, 3.7 * len(activations)),
            squeeze=False,
            layout="constrained",
        )
        for line, activation in zip(axes, activations, strict=True):
            name = NETWORKS[activation]
            for axis, t in zip(line[:2], (ts[0], ts[-1]), strict=True):
                spectrum_panel(axis, evidence, activation=activation, width=width, t=t)
                axis.set_title(f"{name}, width {width}, {moment(t)}")
            share_panel(line[2], evidence, activation, width)
            line[2].set_title(f"{name}, width {width}: over training")
            width_panel(line[3], evidence, activation, ts[-1])
            line[3].set_title(f"{name}, {moment(ts[-1])}: by width")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def moment(t: int) -> str:
    return "as initialised" if t == 0 else f"after {t:,} steps"


def spectrum_panel(axis: Axes, evidence: SweepEvidence, **cell: Any) -> None:
    """Quantiles of the singular values, a line a seed; the band is what counts as close to 1."""
    axis.axhspan(*NEAR, color="#e3e8d4", zorder=0, label="close to 1: within [½, 2]")
    axis.axhline(1, color="black", linewidth=0.7)
    for name in ARMS:
        for number, seed in enumerate(seeds(evidence)):
            values = [value(evidence, f"q{q}", arm=name, seed=seed, **cell) for q in QUANTILES]
            heights = [np.nan if v is None else max(v, FLOOR) for v in values]
            axis.plot(QUANTILES, heights, **look(name), label=None if number else arm(name).label)
    axis.set_yscale("log")
    axis.set_ylim(FLOOR, 20)
    axis.set_xlabel("singular values up to this rank, %")
    axis.set_ylabel("singular value of J")


def look(name: str) -> dict[str, Any]:
    return {"color": arm(name).colour, "linestyle": arm(name).dash, "linewidth": 1.3}


def share_panel(axis: Axes, evidence: SweepEvidence, activation: str, width: int) -> None:
    axis.set_ylabel("singular values within [½, 2], %")
    time_panel(axis, evidence, "share", activation, width, 100)
    level = [value(evidence, "share", arm="random", width=width, seed=s) for s in seeds(evidence)]
    for share in level:
        if share is not None:
            axis.axhline(100 * share, **look("random"))
    axis.set_ylim(0, 100)


def time_panel(
    axis: Axes,
    evidence: SweepEvidence,
    column: str,
    activation: str,
    width: int,
    factor: float = 1,
    matrix: str = "example",
) -> None:
    """A column over training, a line a seed, on an axis that has room for step 0."""
    ts = times(evidence)
    for name in ("baseline", "bn"):
        for number, seed in enumerate(seeds(evidence)):
            cell = {"activation": activation, "width": width, "arm": name, "matrix": matrix}
            values = [value(evidence, column, t=t, seed=seed, **cell) for t in ts]
            heights = [np.nan if v is None else factor * v for v in values]
            label = None if number else arm(name).label
            axis.plot(ts, heights, marker=".", label=label, **look(name))
    axis.set_xscale("symlog", linthresh=max(ts[1], 1), linscale=0.5)
    axis.set_xticks(ts, [f"{t:,}" for t in ts])
    axis.minorticks_off()
    axis.set_xlabel("training step")


def width_panel(axis: Axes, evidence: SweepEvidence, activation: str, t: int) -> None:
    """The share at the end against the width, a point a seed."""
    widths = sorted(unique(evidence.where(part="network"), "width"))
    markers = {"random": "x", "baseline": "s", "bn": "o"}
    for offset, name in enumerate(ARMS):
        for place, width in enumerate(widths):
            cell = {"activation": activation, "width": width, "arm": name, "t": t}
            values = [value(evidence, "share", seed=seed, **cell) for seed in seeds(evidence)]
            heights = [100 * v for v in values if v is not None]
            x = [place + 0.2 * (offset - 1)] * len(heights)
            axis.plot(
                x, heights, markers[name], color=arm(name).colour, fillstyle="none", markersize=6
            )
    axis.set_xticks(range(len(widths)), [str(w) for w in widths])
    axis.set_xlim(-0.5, len(widths) - 0.5)
    axis.set_ylim(0, 100)
    axis.set_xlabel("units a layer")
    axis.set_ylabel("singular values within [½, 2], %")


# --- premises ------------------------------------------------------------------------------------

PREMISES = {
    "correlation": "mean |correlation| of two units' x",
    "kurtosis": "mean |excess kurtosis| of x",
    "nonlinearity": "‖J − mean J‖ / ‖mean J‖",
}


def premises_figure(evidence: SweepEvidence) -> Figure:
    """What the argument assumes, over training: uncorrelated, Gaussian, linear; and J's condition.

    Where J has no full rank, as with ReLU for every example, its mean over the probe stands in.
    """
    activations = unique(evidence.where(part="network"), "activation")
    width = shown_width(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(activations),
            len(PREMISES) + 1,
            figsize=(15.5, 3.5 * len(activations)),
            squeeze=False,
            layout="constrained",
        )
        for line, activation in zip(axes, activations, strict=True):
            for axis, (column, name) in zip(line, PREMISES.items(), strict=False):
                time_panel(axis, evidence, column, activation, width)
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


def condition_panel(axis: Axes, evidence: SweepEvidence, activation: str, width: int) -> None:
    found = evidence.where(part="network", activation=activation, width=width, matrix="example")
    singular = all(row["condition"] is None for row in found)
    matrix = "mean" if singular else "example"
    for number, seed in enumerate(seeds(evidence)):
        level = value(evidence, "condition", arm="random", width=width, seed=seed)
        if level is not None:
            label = None if number else arm("random").label
            axis.axhline(level, label=label, **look("random"))
    time_panel(axis, evidence, "condition", activation, width, matrix=matrix)
    axis.set_ylabel("log₁₀ condition number of " + ("mean J" if singular else "J"))
    axis.set_ylim(bottom=0)
    if singular:
        axis.set_title("each J alone is singular; gaps: so is the mean", fontsize=9)
