"""Figures of Section 2: convergence of whitening and BN, small mini-batches, cost by width."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.tables import Row
from bnrepro.plots.style import RC, arm
from experiments.whitening.metrics import (
    FIT_FROM,
    batches,
    cost_exponent,
    last_rows,
    main_batch,
    main_rows,
    seeds,
    step_seconds,
)
from experiments.whitening.tables import answer, by_cell, label, tables

__all__ = ["FIGURES", "answer", "tables"]
MARKERS = {"baseline": "s", "centre": "^", "bn": "o", "whiten": "D"}


def look(name: str) -> dict[str, Any]:
    """How an arm is drawn."""
    return {"color": arm(name).colour, "linestyle": arm(name).dash}


def errors(rows: Sequence[Row]) -> list[float]:
    """Error in per cent, not a number where the network diverged."""
    accuracies = [np.nan if row["accuracy"] is None else row["accuracy"] for row in rows]
    return [100 * (1 - accuracy) for accuracy in accuracies]


# --- convergence ---------------------------------------------------------------------------------


def convergence_figure(evidence: Evidence) -> Figure:
    """Test error against steps and against seconds, and the rates each arm was tuned over."""
    batch = main_batch(evidence)
    rate = {r["arm"]: r["lr"] for r in main_rows(evidence, "training")}
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
        for name in rate:
            text = f"{label(name)} (rate {rate[name]:g})"
            error_panel(axes[0], evidence, name, 1, text)
            error_panel(axes[1], evidence, name, step_seconds(evidence, name), text)
            tuning_panel(axes[2], evidence, name)
        axes[0].set_title(f"(a) per step of {batch} examples, {len(seeds(evidence))} seeds")
        axes[0].set_xlabel("training step")
        axes[1].set_title("(b) per second: the same curves")
        axes[1].set_xlabel("seconds of training, one network")
        for axis in axes[:2]:
            axis.set_xscale("log")
            axis.set_ylabel("test error, %")
        axes[2].set_xscale("log")
        axes[2].set_title("(c) the tuning: one other seed, held-out images")
        axes[2].set_xlabel("learning rate")
        axes[2].set_ylabel("held-out error at the last step, %")
        for axis in axes:
            axis.set_yscale("log")
            axis.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
            axis.minorticks_off()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def error_panel(axis: Axes, evidence: Evidence, name: str, unit: float, text: str) -> None:
    """Draw a thin line a seed, the mean of all thick."""
    rows = main_rows(evidence, "training", arm=name)
    times = [unit * step for step in unique(rows, "step")]
    curves = [errors([r for r in rows if r["seed"] == seed]) for seed in seeds(evidence)]
    for curve in curves:
        axis.plot(times, curve, linewidth=0.6, alpha=0.7, **look(name))
    axis.plot(times, np.mean(curves, axis=0), linewidth=2.2, label=text, **look(name))


def tuning_panel(axis: Axes, evidence: Evidence, name: str) -> None:
    """Draw the held-out error over the learning rates."""
    rows = main_rows(evidence, "tuning", arm=name)
    axis.plot([row["lr"] for row in rows], errors(rows), marker=MARKERS[name], **look(name))


# --- mini-batches of other sizes -----------------------------------------------------------------


def small_batch_figure(evidence: Evidence) -> Figure:
    """Each size of mini-batch a panel: the end of every network, whitening by its ridge."""
    sizes = batches(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            1, len(sizes), figsize=(4.9 * len(sizes), 4.2), layout="constrained", squeeze=False
        )
        for axis, batch in zip(axes[0], sizes, strict=True):
            rows = last_rows(evidence, batch)
            end_panel(axis, rows)
            axis.set_title(f"mini-batches of {batch} examples, step {rows[0]['step']:,}")
        axes[0, 0].set_ylabel("test error, %")
        figure.suptitle(
            "Every seed, each arm at its own best rate; the ridge is added to the covariance's "
            "diagonal"
        )
    return figure


def end_panel(axis: Axes, rows: Sequence[Row]) -> None:
    """Draw every network's error at the end, and each cell's mean."""
    cells = by_cell(rows)
    for x, ((name, _), found) in enumerate(cells.items()):
        ends, colour = errors(found), arm(name).colour
        middle = float(np.mean(ends))
        spread = np.linspace(-0.15, 0.15, len(ends)) if len(ends) > 1 else np.zeros(1)
        axis.plot(x + spread, ends, MARKERS[name], color=colour, fillstyle="none")
        axis.hlines(middle, x - 0.3, x + 0.3, color=colour, linewidth=2)
        axis.annotate(f"{middle:.1f}", (x + 0.32, middle), va="center")
    axis.set_xticks(range(len(cells)), [cell_label(*cell) for cell in cells], fontsize=8)
    axis.set_xlim(-0.5, len(cells) - 0.2)
    axis.set_ylim(bottom=0)


def cell_label(name: str, ridge: float) -> str:
    """Arm and ridge, in two lines."""
    words = {"baseline": "no normal-\nisation", "centre": "centring\nalone", "bn": "BN"}
    return words.get(name, f"whitening\nridge {ridge:g}")


# --- cost ----------------------------------------------------------------------------------------


def cost_figure(evidence: Evidence) -> Figure:
    """Seconds of forward and backward together against the width, and whitening over BN."""
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
        for name in ("whiten", "bn", "centre"):
            cost_panel(axes[0], evidence, name)
        axes[0].set_title("forward and backward of the transform, one layer")
        axes[0].set_ylabel("milliseconds")
        axes[0].legend()
        widths, ratios = cost_ratios(evidence)
        axes[1].plot(widths, ratios, "o-", color="black")
        for width, ratio in zip(widths, ratios, strict=True):
            text = f"{ratio:,.0f}"
            axes[1].annotate(text, (width, ratio), (0, 7), textcoords="offset points", ha="right")
        axes[1].set_title("full whitening over BN")
        axes[1].set_ylabel("ratio of times")
        for axis in axes:
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xticks(widths, [f"{w:,}" for w in widths])
            axis.set_xlabel("units d of the layer")
    return figure


def cost_panel(axis: Axes, evidence: Evidence, name: str) -> None:
    """Draw measured points, and a line of the fitted power on the widths that were fitted."""
    rows = evidence.where("cost", arm=name)
    power = cost_exponent(evidence, name)
    points: dict[str, Any] = {
        "color": arm(name).colour,
        "marker": MARKERS[name],
        "linestyle": "none",
    }
    text = f"{label(name)}: ∝ $d^{{{power:.2f}}}$ from d = {FIT_FROM}"
    axis.plot([r["width"] for r in rows], [1000 * r["seconds"] for r in rows], label=text, **points)
    fitted = [r for r in rows if r["width"] >= FIT_FROM]
    centre = np.exp(np.mean([np.log(r["seconds"]) - power * np.log(r["width"]) for r in fitted]))
    widths = np.array([r["width"] for r in fitted], float)
    axis.plot(widths, 1000 * centre * widths**power, **look(name))


def cost_ratios(evidence: Evidence) -> tuple[list[int], list[float]]:
    """Widths, and the seconds of whitening over those of BN."""
    whiten, bn = (evidence.where("cost", arm=name) for name in ("whiten", "bn"))
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(whiten, bn, strict=True)]
    return [row["width"] for row in bn], ratios


FIGURES = {
    "convergence": convergence_figure,
    "small-batches": small_batch_figure,
    "cost": cost_figure,
}
