"""Figure 2: accuracy over steps, and how many times as fast each arm is as Inception, beside the
paper's; and the inputs of the last nonlinearity over training."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.drift import TYPICAL_RANK
from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import known
from bnrepro.evidence.steps import best, steps_to
from bnrepro.plots.curves import mean_and_interval, percentile_lines, plain_numbers
from bnrepro.plots.panels import legend_in, panels
from bnrepro.plots.style import arm, label, on_data
from experiments.inception.metrics import AT_OWN_RATE, AT_PAPERS_RATE, PLAIN
from experiments.inception.tables import (
    CHANCE,
    PROTOCOLS,
    TIMES,
    answer,
    base_of,
    end_of,
    has_target,
    ordered,
    paired_curves,
    racing,
    regime,
    speed_of,
    tables,
)

__all__ = ["FIGURES", "answer", "tables"]

INPUT_ARMS = ("inception", "bn_baseline", "bn_x5")  # the panels of the figure of inputs
MARKERS = {"": "o", AT_PAPERS_RATE: "s", AT_OWN_RATE: "^"}
SIGNS = {"": "●", AT_PAPERS_RATE: "■", AT_OWN_RATE: "▲"}  # the same in a text
HEIGHTS = {"": 0.0, AT_PAPERS_RATE: -0.27, AT_OWN_RATE: 0.27}  # on an arm's line


def figure_2(evidence: Evidence) -> Figure:
    """Test accuracy over steps. Below, where Inception leaves chance on every seed: how many times
    as fast each seed reaches Inception's best accuracy, beside the paper's numbers (◇); at the
    left, how many never do within their own run, which a faster decay of the rate shortens."""
    title = on_data(regime(evidence), evidence.data)
    if has_target(evidence):
        heights: dict[str, Any] = {"height_ratios": [1.5, 1]}
        figure, ((curves,), (times,)) = panels(2, 1, (7.2, 8.4), gridspec_kw=heights)
        times_panel(times, evidence)
        meaning = f"means over seeds; ◆: where an arm matches {label(evidence, PLAIN)}'s best"
    else:
        figure, ((curves,),) = panels(1, 1, (7.2, 5.2))
        meaning = (
            f"no speed to compare: {label(evidence, PLAIN)} does not leave chance on every seed"
        )
    curves_panel(curves, evidence)
    figure.suptitle(f"{title}\n{meaning}", fontsize=11.5)
    return figure


def curves_panel(axis: Axes, evidence: Evidence) -> None:
    """Every arm's mean with its seeds faint, where it matches Inception's best, and chance."""
    arms = [variant for variant in ordered(evidence) if not end_of(variant)]
    for variant in arms:
        mean_and_interval(axis, evidence, variant, interval=False)
        if has_target(evidence):
            mark_match(axis, evidence, variant)
    for chance in known(run.get(CHANCE) for run in evidence.runs[:1]):
        axis.axhline(chance, color="#444444", linewidth=0.9, linestyle=":", label="chance + 3 s.e.")
    shown = (run["best_test_accuracy"] or 0 for run in evidence.runs if run["variant"] in arms)
    most = max(shown, default=0) or 1
    axis.set(xscale="log", ylim=(0, min(1, 1.05 * most)), ylabel="test accuracy")
    plain_numbers(axis.xaxis)
    axis.set_xlabel("training step of 32 examples")
    above: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": 3}
    legend_in(axis, fontsize=8, handlelength=2.7, columnspacing=1, **above)


def mark_match(axis: Axes, evidence: Evidence, variant: str) -> None:
    """A diamond at the geometric mean of the seeds' steps to Inception's best."""
    mine, plain = paired_curves(evidence, variant)
    goals = [best(curve) for curve in plain]
    steps = known(steps_to(curve, goal) for curve, goal in zip(mine, goals, strict=True))
    if goals and len(steps) == len(goals):
        place = math.exp(sum(map(math.log, steps)) / len(steps)), sum(goals) / len(goals)
        axis.plot(*place, "D", color=arm(variant).colour, ms=7, mec="white", zorder=5)


def times_panel(axis: Axes, evidence: Evidence) -> None:
    """Each seed's ratio of steps and their geometric mean, a line an arm, a marker for how its rate
    was chosen."""
    found = [v for v in racing(evidence) if speed_of(evidence, v).log_ratios]
    rows = list(dict.fromkeys(map(base_of, found)))
    for variant in found:
        times_row(axis, evidence, variant, len(rows) - 1 - rows.index(base_of(variant)))
    for variant, times in TIMES.items():
        if variant in rows:
            style: dict[str, Any] = {"color": "black", "mfc": "none", "ms": 9, "zorder": 1}
            axis.plot(float(times), len(rows) - 1 - rows.index(variant), "D", **style)
    for end in dict.fromkeys(map(end_of, found)):
        text = f"rate: {PROTOCOLS[end]}"
        axis.plot([], [], MARKERS[end], color="#666666", label=text)
    axis.plot([], [], "D", color="black", mfc="none", label="the paper")
    axis.axvline(1, color="#444444", linewidth=0.9, zorder=1.6)
    against = label(evidence, PLAIN)
    axis.set(xscale="log", xlabel=f"times as fast as {against}, in steps to its best accuracy")
    axis.set_xlim(0.3, max(25, 1.5 * axis.get_xlim()[1]))
    plain_numbers(axis.xaxis)
    axis.set_yticks(range(len(rows)), [label(evidence, v) for v in reversed(rows)])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, fontsize=8.5, handletextpad=0.2)


def times_row(axis: Axes, evidence: Evidence, variant: str, line: int) -> None:
    """The seeds of one arm; those that never get there are counted at the left."""
    speed, end, colour = speed_of(evidence, variant), end_of(variant), arm(variant).colour
    height, there = line + HEIGHTS[end], [math.exp(log) for log in known(speed.log_ratios)]
    axis.plot(there, [height] * len(there), MARKERS[end], color=colour, alpha=0.75, ms=6)
    style: dict[str, Any] = {"color": colour, "va": "center", "fontsize": 8.5}
    if never := speed.log_ratios.count(None):
        text = f"{SIGNS[end]} never: {never} of {len(speed.log_ratios)}"
        axis.annotate(text, (0.32, height), **style)
    if (ratio := speed.ratio()) is not None:
        place = (9, 0)  # points
        axis.annotate(f"{ratio.mean:.2f}", (max(there), height), place, ha="left",
                      textcoords="offset points", fontweight="bold", **style)  # fmt: skip


def inputs(evidence: Evidence) -> Figure:
    """What the nonlinearity of one typical feature map of the last layer is given over training:
    its 15th, 50th and 85th percentiles. A band that stays where it is does not drift."""
    layer = (unique(evidence.units, "layer") or ["no layer"])[-1]
    arms = [v for v in INPUT_ARMS if v in evidence.variants] or evidence.variants[:1]
    figure, (axes,) = panels(1, len(arms), (3.6 * len(arms), 3.6), sharex=True, sharey=True)
    for axis, variant in zip(axes, arms, strict=True):
        key = {"variant": variant, "layer": layer, "rank": TYPICAL_RANK}
        percentile_lines(axis, evidence.where("units", **key), variant)
        axis.set_title(label(evidence, variant))
    figure.supxlabel("training step of 32 examples")
    axes[0].set_ylabel("input to the nonlinearity")
    title = f"{regime(evidence)}: the feature map of middle drift in {layer}, first seed\n"
    title += "15th (dotted), 50th and 85th (dashed) percentile at inference"
    figure.suptitle(on_data(title, evidence.data))
    return figure


FIGURES = {"figure-2": figure_2, "inputs": inputs}
