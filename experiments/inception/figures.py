"""Figures 2 and 3: accuracy over steps for all arms, and steps to the plain network's best; and the
inputs of chosen layers' nonlinearities over training."""

from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.drift import TYPICAL_RANK
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import t_interval
from bnrepro.evidence.steps import best, speed_up, steps_to
from bnrepro.experiment import Table
from bnrepro.plots.curves import mean_and_interval, percentile_lines, thousands
from bnrepro.plots.speed import speed, speed_rows
from bnrepro.plots.style import RC, arm, on_data
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


def tables(evidence: Evidence) -> list[Table]:
    """Figure 3 beside the paper's, and the ratios to shares of the target."""
    pairs = [(variant, PLAIN) for variant in close_ups(evidence)]
    return [figure_3(evidence), speed_rows(evidence, pairs)]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    if missing := {PLAIN, *CLOSE_UPS[:3]} - set(evidence.variants):
        return f"Not compared: {', '.join(sorted(missing))} not finished."
    paper = {"bn_baseline": "2.3", "bn_x5": "14", "bn_x30": "11.5"}
    parts = [
        f"{arm(v).label} {speed(evidence, v, PLAIN, 1.0, 'step').text()} (the paper: {times})"
        for v, times in paper.items()
    ]
    return f"Times as fast as Inception, in steps to its best accuracy: {', '.join(parts)}."


def close_ups(evidence: Evidence) -> list[str]:
    """The arms with BN, the paper's first, then those that are not the paper's."""
    others = [v for v in evidence.variants if v not in PAPER]
    return [*CLOSE_UPS, *others]


def inputs(evidence: Evidence) -> Figure:
    """Percentiles of the typical feature map's inputs, a row a layer, a column an arm."""
    layers = list(dict.fromkeys(row["layer"] for row in evidence.units))
    arms = [v for v in INPUT_ARMS if v in evidence.variants] or evidence.variants[:1]
    size = (3.6 * max(1, len(arms)), 2.1 * max(1, len(layers)))
    with plt.rc_context(RC | {"font.size": 9}):
        figure, axes = plt.subplots(
            max(1, len(layers)), max(1, len(arms)), figsize=size, sharex=True, sharey="row",
            squeeze=False, layout="constrained",
        )  # fmt: skip
        for i, layer in enumerate(layers):
            for axis, variant in zip(axes[i], arms, strict=True):
                key = (variant, layer, TYPICAL_RANK)
                rows = [r for r in evidence.units if (r["variant"], r["layer"], r["rank"]) == key]
                percentile_lines(axis, rows, variant)
                axis.set_title(f"{arm(variant).label}, {layer}", fontsize=9)
        figure.supxlabel("training step of 32 examples")
        figure.supylabel("input to the nonlinearity: 15th, 50th, 85th percentile")
        title = "the feature map of middle drift in each layer, first seed, at inference"
        figure.suptitle(on_data(title, evidence.data))
    return figure


def figure_2(evidence: Evidence) -> Figure:
    """Accuracy over steps: all arms, and each BN arm close up beside Inception, with a marker
    where a mean meets Inception's best."""
    with plt.rc_context(RC):
        close = close_ups(evidence)
        rows = [[*close[i : i + 2], "."][:2] for i in range(0, len(close), 2)]
        figure = plt.figure(figsize=(13, 2.7 * len(rows)), layout="constrained")
        panels = figure.subplot_mosaic([["all", *row] for row in rows], width_ratios=[1.5, 1, 1])
        for variant in ordered(evidence):
            mean_and_interval(panels["all"], evidence, variant, interval=False)
        panels["all"].set(ylim=(0, 1), ylabel="test accuracy", title="all arms, each seed faint")
        for variant in close:
            _close_up(panels[variant], evidence, variant)
        for axis in panels.values():
            axis.set_xlim(left=0)
            axis.xaxis.set_major_formatter(thousands())
        for name in ("all", *(name for name in rows[-1] if name != ".")):
            panels[name].set_xlabel("training step of 32 examples")
        title = (
            "mean over seeds, close up with 95 % interval; ◆ where it meets Inception's best mean"
        )
        figure.suptitle(on_data(title, evidence.data))
        handles, labels = panels["all"].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, handlelength=3.2)
    return figure


def _close_up(axis: Axes, evidence: Evidence, variant: str) -> None:
    for own in (PLAIN, variant):
        if own in evidence.variants:
            curve = mean_and_interval(axis, evidence, own)
            _mark_match(axis, own, list(zip(*curve, strict=True)), target(evidence))
    high = max(run["best_test_accuracy"] or 0.0 for run in evidence.runs)
    axis.set_ylim(min(target(evidence), high) - 0.1, high + 0.02)
    axis.set_title(f"{arm(variant).label} beside Inception")


def _mark_match(
    axis: Axes, variant: str, curve: list[tuple[float, float]], accuracy: float
) -> None:
    reached = steps_to(curve, accuracy)
    if reached is not None:
        place = (reached, accuracy)
        axis.plot(*place, "D", color=arm(variant).colour, ms=7, mec="white", zorder=5)
        above = (0, -17) if variant == PLAIN else (0, 9)  # points
        axis.annotate(f"{reached:,.0f}", place, above, textcoords="offset points", ha="center")


def target(evidence: Evidence) -> float:
    """The best of Inception's mean curve; beyond reach without one."""
    curves = [dict(evidence.curve(PLAIN, s)) for s in evidence.seeds(PLAIN)]
    common = set.intersection(*map(set, curves)) if curves else set()
    return best([(step, t_interval([c[step] for c in curves]).mean) for step in common])


def ordered(evidence: Evidence) -> list[str]:
    """The arms, the paper's first."""
    others = [variant for variant in evidence.variants if variant not in PAPER]
    return [variant for variant in (*PAPER, *others) if variant in evidence.variants]


def figure_3(evidence: Evidence) -> list[list[str]]:
    """One row an arm, beside the paper's: header first. A control shows how it ended."""
    header = ["arm", "steps to Inception's best", "times as fast, in steps", "in seconds",
              "max. accuracy", "at the end, all images", "outcome by seed", "paper: steps",
              "paper: max."]  # fmt: skip
    return [header, *(_row(evidence, variant) for variant in ordered(evidence))]


def _row(evidence: Evidence, variant: str) -> list[str]:
    printed, seeds = PAPER.get(variant, Printed("–", "–")), evidence.seeds(variant)
    outcomes = ", ".join(_outcome(evidence, variant, s) for s in seeds)
    accuracies = (
        _accuracy(evidence, variant, column)
        for column in ("best_test_accuracy", "final_test_accuracy_all")
    )
    return [arm(variant).label, *_speed(evidence, variant), *accuracies, outcomes, *printed]


def _accuracy(evidence: Evidence, variant: str, column: str) -> str:
    """Every seed's accuracy; their interval where all seeds ended in the same way."""
    runs = [evidence.run(variant, seed) for seed in evidence.seeds(variant)]
    highest = [run[column] for run in runs]
    each = ", ".join("–" if b is None else f"{100 * b:.2f}" for b in highest)
    alike = len({run["outcome"] for run in runs}) == 1 and None not in highest
    return f"{each}: {t_interval([100 * b for b in highest]).text(2)} %" if alike else f"{each} %"


def _outcome(evidence: Evidence, variant: str, seed: int) -> str:
    run = evidence.run(variant, seed)
    step = run["first_non_finite_step"]
    return str(run["outcome"]) if step is None else f"non-finite at step {step:,}"


def _speed(evidence: Evidence, variant: str) -> list[str]:
    """Steps to each seed's own target, and the ratios in steps and in seconds."""
    seeds = sorted(set(evidence.seeds(variant)) & set(evidence.seeds(PLAIN)))
    if not seeds:
        return ["–"] * 3
    plain = {a: [evidence.curve(PLAIN, s, a) for s in seeds] for a in ("step", "wall_s")}
    mine = {a: [evidence.curve(variant, s, a) for s in seeds] for a in ("step", "wall_s")}
    if not all(mine["step"]):
        return ["never", "–", "–"]
    ratios = [speed_up(plain[axis], mine[axis]).text() for axis in ("step", "wall_s")]
    targets = [best(curve) for curve in plain["step"]]
    reached = [steps_to(c, t) for c, t in zip(mine["step"], targets, strict=True)]
    shown = [
        f"> {curve[-1][0]:,.0f}" if r is None else f"{r:,.0f}"
        for r, curve in zip(reached, mine["step"], strict=True)
    ]
    return [", ".join(shown), *ratios]


FIGURES = {"figure-2": figure_2, "inputs": inputs}
