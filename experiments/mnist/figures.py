"""Figure 1 of the paper, and the sheet of units beside it."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.drift import TYPICAL_RANK
from bnrepro.evidence.evidence import Evidence
from bnrepro.plots.curves import mean_and_interval, percentile_lines, thousands
from bnrepro.plots.style import RC, arm, on_data
from experiments.mnist.tables import answer, tables

__all__ = ["FIGURES", "answer", "tables"]

PAPER_ACCURACY = (0.7, 1.0)  # the axis of Figure 1(a)
CLOSE_UP = (0.955, 0.985)  # where tuned networks differ, inside the paper's axis
PAPER_INPUT = (-2.0, 2.0)  # the axis of Figure 1(b, c)


def figure_1(evidence: Evidence) -> Figure:
    """(a) test accuracy over steps; (b, c) a typical unit's inputs without and with BN."""
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), width_ratios=(1.45, 1, 1))
        accuracy_panel(axes[0], evidence)
        for axis, letter, variant in zip(axes[1:], "bc", ("baseline", "bn"), strict=True):
            unit_panel(axis, evidence, variant, TYPICAL_RANK)
            axis.set_title(f"({letter}) {arm(variant).label}")
            axis.set_xlabel("training step")
        axes[1].set_ylabel("input to the sigmoid")
        _share_input_axis(axes[1:])
        axes[1].annotate(
            "the paper's axis ends here",
            (0.98, PAPER_INPUT[1]),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7,
            color="#666666",
        )
        axes[2].legend(loc="upper right", fontsize=8)
        figure.tight_layout()
    return figure


def accuracy_panel(axis: Axes, evidence: Evidence) -> None:
    inset = axis.inset_axes((0.34, 0.22, 0.64, 0.5))
    for variant in evidence.variants:
        mean_and_interval(axis, evidence, variant)
        mean_and_interval(inset, evidence, variant)
    inset.set_ylim(*CLOSE_UP)
    inset.set_xlim(left=0)
    inset.xaxis.set_major_formatter(thousands())
    inset.tick_params(labelsize=7)
    axis.set_ylim(*PAPER_ACCURACY)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(thousands())
    axis.set_xlabel("training step")
    axis.set_ylabel("test accuracy")
    seeds = max((len(evidence.seeds(v)) for v in evidence.variants), default=0)
    title = f"mean of {seeds} seeds, 95 % interval; each seed faint"
    axis.set_title(f"(a) {on_data(title, evidence.data)}")
    axis.legend(loc="lower right", fontsize=8, handlelength=3.2, ncols=2, columnspacing=1)


def unit_panel(axis: Axes, evidence: Evidence, variant: str, rank: int) -> None:
    """The {15, 50, 85}th percentiles of the input of one unit of the last hidden layer."""
    key = (variant, rank, "training", evidence.units[-1]["layer"])
    rows = [r for r in evidence.units if (r["variant"], r["rank"], r["mode"], r["layer"]) == key]
    percentile_lines(axis, rows, variant)
    for limit in PAPER_INPUT:
        axis.axhline(limit, color="#888888", linewidth=0.6, linestyle=(0, (2, 4)))


def unit_sheet(evidence: Evidence, variants: Sequence[str] = ("baseline", "bn")) -> Figure:
    """Twelve more units of each arm, from the least to the most drifting."""
    ranks = sorted({r["rank"] for r in evidence.units} - {TYPICAL_RANK})
    half = len(ranks) // 2
    with plt.rc_context(RC | {"font.size": 8}):
        figure, axes = plt.subplots(
            2 * len(variants), half, figsize=(2.1 * half, 7), sharex=True, squeeze=False
        )
        places = [(v, rank) for v in variants for rank in ranks]
        for axis, (variant, rank) in zip(axes.flat, places, strict=True):
            unit_panel(axis, evidence, variant, rank)
            axis.set_title(f"{arm(variant).label}, rank {rank}", fontsize=8)
        _share_input_axis(list(axes.flat))
        figure.supxlabel("training step")
        figure.supylabel("input to the sigmoid: 15th, 50th, 85th percentile")
        title = "Units of the last hidden layer by rank of drift (1 least, 100 most)"
        figure.suptitle(on_data(title, evidence.data))
        figure.tight_layout()
    return figure


def _share_input_axis(axes: Sequence[Axes]) -> None:
    """The paper's −2 to 2 for all panels, or more where a curve leaves it; its limits dotted."""
    values = [np.asarray(line.get_ydata(), float) for axis in axes for line in axis.get_lines()]
    reach = max(np.abs(v).max() for v in values if len(v))
    limit = max(PAPER_INPUT[1], 1.05 * float(reach)) if reach > PAPER_INPUT[1] else PAPER_INPUT[1]
    for axis in axes:
        axis.set_ylim(-limit, limit)


FIGURES: dict[str, Callable[[Evidence], Figure]] = {"figure-1": figure_1, "units": unit_sheet}
