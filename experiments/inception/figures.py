"""Figures 2 and 3: accuracy over steps for all arms, and steps to the plain network's best; and the
inputs of chosen layers' nonlinearities over training."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.drift import TYPICAL_RANK
from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import each_text, known, mean_text, t_interval
from bnrepro.evidence.steps import best, steps_to
from bnrepro.experiment import Table
from bnrepro.plots.curves import mean_and_interval, percentile_lines, step_axis
from bnrepro.plots.panels import legend_below, panels
from bnrepro.plots.speed import speed, speed_rows
from bnrepro.plots.style import arm, label, on_data
from experiments.inception.metrics import PLAIN

CLOSE_UPS = ("bn_baseline", "bn_x5", "bn_x30", "bn_x5_sigmoid")  # the paper's arms with BN
INPUT_ARMS = ("inception", "bn_baseline", "bn_x5")  # the columns of the figure of inputs


class Printed(NamedTuple):
    """A line of the paper's Figure 3."""

    steps: str
    accuracy: str


PAPER = {
    "inception": Printed("31.0·10⁶", "72.2 %"),
    "bn_baseline": Printed("13.3·10⁶", "72.7 %"),
    "bn_x5": Printed("2.1·10⁶", "73.0 %"),
    "bn_x30": Printed("2.7·10⁶", "74.8 %"),
    "bn_x5_sigmoid": Printed("never", "69.8 %"),
    "inception_x5": Printed("–", "diverges"),
    "inception_sigmoid": Printed("–", "chance"),
}
TIMES = {"bn_baseline": "2.3", "bn_x5": "14", "bn_x30": "11.5"}  # as fast as Inception, the paper's


def others(evidence: Evidence) -> list[str]:
    """The arms that are not the paper's."""
    return [variant for variant in evidence.variants if variant not in PAPER]


def inputs(evidence: Evidence) -> Figure:
    """Percentiles of the typical feature map's inputs, a row a layer, a column an arm."""
    layers = unique(evidence.units, "layer") or ["no layer"]
    arms = [v for v in INPUT_ARMS if v in evidence.variants] or evidence.variants[:1]
    with plt.rc_context({"font.size": 9}):
        size = (3.6 * len(arms), 2.1 * len(layers))
        figure, grid = panels(len(layers), len(arms), size, sharex=True, sharey="row")
        for axes, layer in zip(grid, layers, strict=True):
            for axis, variant in zip(axes, arms, strict=True):
                key = {"variant": variant, "layer": layer, "rank": TYPICAL_RANK}
                percentile_lines(axis, evidence.where("units", **key), variant)
                axis.set_title(f"{label(evidence, variant)}, {layer}", fontsize=9)
        figure.supxlabel("training step of 32 examples")
        figure.supylabel("input to the nonlinearity: 15th, 50th, 85th percentile")
        title = "the feature map of middle drift in each layer, first seed, at inference"
        figure.suptitle(on_data(title, evidence.data))
    return figure


def figure_2(evidence: Evidence) -> Figure:
    """Accuracy over steps: all arms, and each BN arm close up beside Inception, with a marker
    where a mean meets Inception's best."""
    close = [*CLOSE_UPS, *others(evidence)]
    rows = [[*close[i : i + 2], "."][:2] for i in range(0, len(close), 2)]
    figure = plt.figure(figsize=(13, 2.7 * len(rows)), layout="constrained")
    axes = figure.subplot_mosaic([["all", *row] for row in rows], width_ratios=[1.5, 1, 1])
    everything = axes["all"]
    for variant in ordered(evidence):
        mean_and_interval(everything, evidence, variant, interval=False)
    everything.set(ylim=(0, 1), ylabel="test accuracy", title="all arms, each seed faint")
    for variant in close:
        close_up(axes[variant], evidence, variant)
    for name, axis in axes.items():
        step_axis(axis)
        if name in ("all", *rows[-1]):
            axis.set_xlabel("training step of 32 examples")
    title = "mean over seeds, close up with 95 % interval; ◆ where it meets Inception's best mean"
    figure.suptitle(on_data(title, evidence.data))
    legend_below(figure, [everything], handlelength=3.2)
    return figure


def close_up(axis: Axes, evidence: Evidence, variant: str) -> None:
    """One arm beside Inception."""
    goal = target(evidence)
    for shown in (PLAIN, variant):
        if shown in evidence.variants:
            curve = zip(*mean_and_interval(axis, evidence, shown), strict=True)
            mark_match(axis, shown, steps_to(list(curve), goal), goal)
    high = max(known(run["best_test_accuracy"] for run in evidence.runs), default=1.0)
    axis.set_ylim(min(goal, high) - 0.1, high + 0.02)
    axis.set_title(f"{label(evidence, variant)} beside {label(evidence, PLAIN)}")


def mark_match(axis: Axes, variant: str, step: float | None, accuracy: float) -> None:
    """A diamond where a curve meets Inception's best, with the step."""
    if step is not None:
        axis.plot(step, accuracy, "D", color=arm(variant).colour, ms=7, mec="white", zorder=5)
        above = (0, -17) if variant == PLAIN else (0, 9)  # points
        place, text = (step, accuracy), f"{step:,.0f}"
        axis.annotate(text, place, above, textcoords="offset points", ha="center")


def target(evidence: Evidence) -> float:
    """The best of Inception's mean curve; beyond reach without one."""
    curves = [dict(evidence.curve(PLAIN, s)) for s in evidence.seeds(PLAIN)]
    common = set.intersection(*map(set, curves)) if curves else set()
    return best([(step, t_interval([c[step] for c in curves]).mean) for step in common])


def ordered(evidence: Evidence) -> list[str]:
    """The arms, the paper's first."""
    return [variant for variant in PAPER if variant in evidence.variants] + others(evidence)


FIGURES = {"figure-2": figure_2, "inputs": inputs}


def tables(evidence: Evidence) -> list[Table]:
    """Figure 3 beside the paper's, and the ratios to shares of the target."""
    pairs = [(variant, PLAIN) for variant in (*CLOSE_UPS, *others(evidence))]
    return [figure_3(evidence), speed_rows(evidence, pairs)]


def figure_3(evidence: Evidence) -> Table:
    """One row an arm, beside the paper's: header first. A control shows how it ended."""
    header = ["arm", "steps to Inception's best", "times as fast, in steps", "in seconds",
              "max. accuracy", "at the end, all images", "outcome by seed", "paper: steps",
              "paper: max."]  # fmt: skip
    return [header, *(arm_row(evidence, variant) for variant in ordered(evidence))]


def arm_row(evidence: Evidence, variant: str) -> list[str]:
    """An arm's line of Figure 3."""
    runs = evidence.where("runs", variant=variant)
    columns = ("best_test_accuracy", "final_test_accuracy_all")
    alike = len(unique(runs, "outcome")) == 1
    accuracies = [accuracy_text([run[column] for run in runs], alike) for column in columns]
    outcomes = ", ".join(
        str(run["outcome"])
        if (step := run["first_non_finite_step"]) is None
        else f"non-finite at step {step:,}"
        for run in runs
    )
    printed = PAPER.get(variant, Printed("–", "–"))
    name, speeds = label(evidence, variant), speed_texts(evidence, variant)
    return [name, *speeds, *accuracies, outcomes, *printed]


def accuracy_text(values: Sequence[float | None], alike: bool) -> str:
    """Every seed's accuracy; their interval where all seeds ended in the same way."""
    each = each_text(values, 2, 100, lost="–")
    return f"{each}: {mean_text(values, 2, 100)} %" if alike and None not in values else f"{each} %"


def speed_texts(evidence: Evidence, variant: str) -> list[str]:
    """Steps to each seed's own target, and the ratios in steps and in seconds."""
    seeds = sorted(set(evidence.seeds(variant)) & set(evidence.seeds(PLAIN)))
    plain, mine = ([evidence.curve(v, seed) for seed in seeds] for v in (PLAIN, variant))
    if not any(plain):
        return ["–"] * 3
    if not all(mine):
        return ["never", "–", "–"]
    reached = map(steps_to, mine, map(best, plain))
    shown = [
        f"> {curve[-1][0]:,.0f}" if step is None else f"{step:,.0f}"
        for step, curve in zip(reached, mine, strict=True)
    ]
    return [", ".join(shown), *(speed(evidence, variant, PLAIN, 1, a) for a in ("step", "wall_s"))]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    if missing := {PLAIN, *TIMES} - set(evidence.variants):
        return f"Not compared: {', '.join(sorted(missing))} not finished."
    parts = [
        f"{label(evidence, v)} {speed(evidence, v, PLAIN)} (the paper: {times})"
        for v, times in TIMES.items()
    ]
    return f"Times as fast as Inception, in steps to its best accuracy: {', '.join(parts)}."
