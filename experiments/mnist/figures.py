"""Figure 1 of the paper, the sheet of units beside it, and every seed's values."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.drift import TYPICAL_RANK
from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import Values, each_text, known, mean_text
from bnrepro.evidence.steps import steps_to
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import mean_and_interval, percentile_lines, step_axis
from bnrepro.plots.panels import panels
from bnrepro.plots.speed import speed, speed_rows
from bnrepro.plots.style import label, nonlinearity, on_data, unlike_label

PAPER_ACCURACY = (0.7, 1.0)  # the axis of Figure 1(a)
CLOSE_UP = (0.955, 0.985)  # where tuned networks differ, inside the paper's axis
PAPER_INPUT = 2.0  # the axis of Figure 1(b, c) ends here on both sides
ACCURACY_AT = (1000, 5000, 10000, 20000, 50000)
TARGETS = (0.90, 0.95, 0.97)
PAIRS = (
    ("bn", "baseline"),
    ("bn", "baseline_tuned"),
    ("bn_tuned", "baseline"),
    ("bn_tuned", "baseline_tuned"),
)
DRIFTS = {"median": "median", "relative": "median / spread", "spread": "log spread"}


def figure_1(evidence: Evidence) -> Figure:
    """(a) test accuracy over steps; (b, c) a typical unit's inputs without and with BN."""
    shown = unit_arms(evidence)
    widths = (1.45, *[1] * len(shown))
    figure, (axes,) = panels(1, len(widths), (14, 4.4), width_ratios=widths, layout=None)
    accuracy_panel(axes[0], evidence)
    for axis, letter, variant in zip(axes[1:], "bc", shown, strict=False):
        unit_panel(axis, evidence, variant, TYPICAL_RANK)
        axis.set(title=f"({letter}) {label(evidence, variant)}", xlabel="training step")
    axes[1].set_ylabel(input_name(evidence))
    share_input_axis(axes[1:])
    axes[1].annotate(
        "the paper's axis ends here",
        (0.98, PAPER_INPUT),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        fontsize=7,
        color="#666666",
    )
    axes[-1].legend(loc="upper right", fontsize=8)
    figure.tight_layout()
    return figure


def unit_arms(evidence: Evidence) -> list[str]:
    """The two arms whose units are shown: those of the paper's figure where they have run."""
    paper = [variant for variant in ("baseline", "bn") if variant in evidence.variants]
    return [*paper, *(v for v in evidence.variants if v not in paper)][:2]


def input_name(evidence: Evidence) -> str:
    """What the inputs of units go into."""
    names = {nonlinearity(run.get("activation") or "sigmoid") for run in evidence.runs}
    return f"input to the {names.pop() if len(names) == 1 else 'nonlinearity'}"


def accuracy_panel(axis: Axes, evidence: Evidence) -> None:
    """Test accuracy of every arm over steps, with a close-up of where tuned networks differ."""
    inset = axis.inset_axes((0.34, 0.22, 0.64, 0.5))
    for variant in evidence.variants:
        mean_and_interval(axis, evidence, variant)
        mean_and_interval(inset, evidence, variant)
    inset.set_ylim(*CLOSE_UP)
    step_axis(inset)
    inset.tick_params(labelsize=7)
    step_axis(axis)
    lowest = min(known(run["best_test_accuracy"] for run in evidence.runs), default=1)
    axis.set(xlabel="training step", ylabel="test accuracy")
    axis.set_ylim(min(PAPER_ACCURACY[0], lowest - 0.05), PAPER_ACCURACY[1])
    seeds = max(len(evidence.seeds(v)) for v in evidence.variants)
    title = f"mean of {seeds} seeds, 95 % interval; each seed faint"
    axis.set_title(f"(a) {on_data(title, evidence.data)}")
    axis.legend(loc="lower right", fontsize=8, handlelength=3.2, ncols=2, columnspacing=1)


def unit_panel(axis: Axes, evidence: Evidence, variant: str, rank: int) -> None:
    """The {15, 50, 85}th percentiles of the input of one unit of the last hidden layer."""
    rows = evidence.where("units", variant=variant, rank=rank, mode="training")
    percentile_lines(axis, [r for r in rows if r["layer"] == rows[-1]["layer"]], variant)
    for limit in (-PAPER_INPUT, PAPER_INPUT):
        axis.axhline(limit, color="#888888", linewidth=0.6, linestyle=(0, (2, 4)))


def unit_sheet(evidence: Evidence) -> Figure:
    """Twelve more units of each arm, from the least to the most drifting."""
    shown = unit_arms(evidence)
    ranks = sorted({*unique(evidence.units, "rank")} - {TYPICAL_RANK}) or [TYPICAL_RANK]
    half = -(-len(ranks) // 2)
    with plt.rc_context({"font.size": 8}):
        size = (2.1 * half, 7)
        figure, axes = panels(2 * len(shown), half, size, sharex=True, layout=None)
        places = [(v, rank) for v in shown for rank in ranks]
        for axis, (variant, rank) in zip(axes.flat, places, strict=False):
            unit_panel(axis, evidence, variant, rank)
            axis.set_title(f"{label(evidence, variant)}, rank {rank}", fontsize=8)
        share_input_axis(list(axes.flat))
        figure.supxlabel("training step")
        figure.supylabel(f"{input_name(evidence)}: 15th, 50th, 85th percentile")
        title = "Units of the last hidden layer by rank of drift (1 least, 100 most)"
        figure.suptitle(on_data(title, evidence.data))
        figure.tight_layout()
    return figure


def share_input_axis(axes: Sequence[Axes]) -> None:
    """The paper's −2 to 2 for all panels, or more where a curve leaves it; its limits dotted."""
    values = [np.asarray(line.get_ydata(), float) for axis in axes for line in axis.get_lines()]
    reach = max((float(np.abs(v).max()) for v in values if len(v)), default=0)
    limit = 1.05 * reach if reach > PAPER_INPUT else PAPER_INPUT
    for axis in axes:
        axis.set_ylim(-limit, limit)


FIGURES = {"figure-1": figure_1, "units": unit_sheet}


class Line(NamedTuple):
    """A line of the tables."""

    label: str
    digits: int
    censored: bool = False  # a missing value means "not reached", not "not measured"


DIVERGED = Line("diverged at step", 0)


def tables(evidence: Evidence) -> list[Table]:
    """The summary over seeds, the speed of the arms with BN, and every seed's values."""
    arms = {variant: arm_lines(evidence, variant) for variant in evidence.variants}
    seeds = [seed_rows(evidence, variant, lines) for variant, lines in arms.items()]
    return [summary_rows(evidence, arms), speed_rows(evidence, PAIRS), *seeds]


def arm_lines(evidence: Evidence, variant: str) -> dict[Line, list[float | None]]:
    """Every line with its value for each seed of an arm."""
    runs = [run_lines(evidence, evidence.run(variant, s)) for s in evidence.seeds(variant)]
    return {line: [run[line] for run in runs] for line in runs[0]}


def run_lines(evidence: Evidence, run: Row) -> dict[Line, float | None]:
    """Every line with its value for one run."""
    key = {name: run[name] for name in ("variant", "seed")}
    rows, layers = evidence.where("curves", **key), unique(evidence.units, "layer")
    curve, seconds = (evidence.curve(**key, axis=axis) for axis in ("step", "wall_s"))
    lines = {Line(f"test accuracy at step {s:,}", 4): dict(curve).get(s) for s in ACCURACY_AT}
    lines[Line("best test accuracy", 4)] = run.get("best_test_accuracy")
    population = run.get("final_test_accuracy_population")
    lines[Line("last test accuracy, Algorithm 2's statistics", 4)] = population
    lines |= {Line(f"steps to {t:.0%}", 0, True): steps_to(curve, t) for t in TARGETS}
    lines |= {Line(f"seconds to {t:.0%}", 1, True): steps_to(seconds, t) for t in TARGETS}
    for mode, kind in product(("training", "inference"), DRIFTS):
        drift = run.get(f"drift_{kind}_{mode}_{layers[-1]}") if layers else None
        lines[Line(f"drift of the {DRIFTS[kind]}, {mode} mode", 3)] = drift
    for layer in layers if input_name(evidence) == "input to the sigmoid" else ():
        shares = known(row.get(f"saturated_{layer}") for row in rows)
        last = shares[-1] if shares else None
        lines[Line(f"share saturated, hidden layer {layer[6:]}, last step", 4)] = last
    lines[Line("seconds, all seeds of the arm together", 1)] = run.get("wall_s")
    lines[DIVERGED] = run.get("first_non_finite_step")
    return lines


def summary_rows(evidence: Evidence, arms: Mapping[str, Mapping[Line, Values]]) -> Table:
    """The table with one column an arm: header first."""
    first = on_data("mean [95 % interval]", evidence.data)
    header = [first, *(label(evidence, variant) for variant in arms)]
    lines = next(iter(arms.values()))
    body = [[k.label, *(summarise(k, each[k]) for each in arms.values())] for k in lines]
    return [header, *measured(body)]


def measured(rows: Table) -> Table:
    """The rows without those that have no value."""
    return [row for row in rows if set(row[1:]) != {"–"}]


def summarise(line: Line, each: Values) -> str:
    """Mean with interval; where a seed is missing, how many, and never a mean of the rest."""
    there = known(each)
    if line == DIVERGED:
        return f"{len(there)} of {len(each)} seeds" if there else "–"
    lost = f"reached by {len(there)} of {len(each)}" if there else "never"
    return mean_text(each, line.digits, lost=lost if line.censored else "–")


def seed_rows(evidence: Evidence, variant: str, lines: Mapping[Line, Values]) -> Table:
    """Every seed's own value for one arm: header first."""
    header = [label(evidence, variant), *(f"seed {s}" for s in evidence.seeds(variant))]
    body = []
    for line, each in lines.items():
        missing = "never" if line.censored else "–"
        body.append([line.label, *(each_text([v], line.digits, lost=missing) for v in each)])
    return [header, *measured(body)]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    if missing := {"baseline", "bn", "bn_tuned"} - set(evidence.variants):
        return f"Not compared: {', '.join(sorted(missing))} not finished."
    equal, tuned = (speed(evidence, variant, "baseline") for variant in ("bn", "bn_tuned"))
    runs = (evidence.where("runs", variant=variant) for variant in ("baseline", "bn"))
    last = ([run["final_test_accuracy"] for run in each] for each in runs)
    plain, bn = (mean_text(each, 2, 100, " %", lost="not known (diverged)") for each in last)
    same = "at the same setting" if same_setting(evidence, "bn", "baseline") else "as it was set"
    tuned_arm = label(evidence, "bn_tuned")
    own = tuned_arm if unlike_label(evidence, "bn_tuned") else "its own best setting"
    return (
        f"Times as fast as the plain network, in steps to its best accuracy: with BN {equal} "
        f"{same}, {tuned} at {own}; the last accuracy is {bn} with BN and {plain} without."
    )


def same_setting(evidence: Evidence, *variants: str) -> bool:
    """Whether the arms' runs share rate, initial weights and mini-batch."""
    runs = [run for run in evidence.runs if run["variant"] in variants]
    return len(grouped(runs, "lr", "init", "init_std", "batch")) == 1
