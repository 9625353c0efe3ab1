"""What each of the seven changes does: the figure that orders them, and the answer."""

import math
from collections.abc import Callable
from functools import partial
from operator import mul
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Values, known, mean, mean_text, ratio_text, t_interval
from bnrepro.plots.panels import legend_below, panels, ticks_within
from bnrepro.plots.style import arm, on_data
from experiments.ablation.changes import CHANGES, SHOWN, pairs
from experiments.ablation.metrics import last_accuracy_gain, log_steps_ratio, train_test_gap
from experiments.ablation.tables import PLAIN, UNTESTED, images, tables, testable

__all__ = ["FIGURES", "answer", "tables"]

RATIOS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)  # ticks
NARROW = (0.7, 1.4, 3)  # more of them, where there is room
POINTS = (-60, -30, -10, -3, -1, 0, 1, 3, 10, 30, 60)
MARKERS = {"bn_x5": "o", "bn_baseline": "s", "inception": "D"}
APART = 0.25  # lines between the networks of one change
HEADING = 0.8  # lines of a heading
Line = tuple[bool, str]  # of the figure: whether on a part of the images, and the change
Places = dict[Line, float]  # of the lines, downwards


def effects(evidence: Evidence) -> Figure:
    """What each of the seven changes does to the steps to a target accuracy (left) and to the last
    accuracy (right); right of the vertical lines it helps. On all images a higher rate helps BN-x5
    most in both, and a faster decay of the rate saves it steps but costs accuracy.

    The change with which BN-x5 is fastest stands first.
    """
    lines = ordered(evidence)
    at = {line: -i - HEADING * (1 + line[0]) for i, line in enumerate(lines)}
    figure, ((speed, accuracy),) = panels(1, 2, (11.5, 1.9 + 0.55 * (len(lines) + 2)), sharey=True)
    for network in SHOWN:
        draw(speed, evidence, at, network, in_steps=True)
        draw(accuracy, evidence, at, network, in_steps=False)
    for axis in (speed, accuracy):
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
        for y in at.values():
            axis.axhspan(y - 0.42, y + 0.42, color="#f3f3f3", zorder=0)
    scale_axes(speed, accuracy)
    name_lines(speed, evidence, at)
    title = "what a change does; mean over seeds, 95 % interval, each seed a point"
    figure.suptitle(on_data(title, evidence.data))
    legend_below(figure, (speed, accuracy))
    return figure


def ordered(evidence: Evidence) -> list[Line]:
    """All images before a part of them; then by BN-x5's gain in steps."""
    gains = {
        (p.few, p.change): mean(known(log_steps_ratio(evidence, p._asdict())))
        for p in sorted(pairs(evidence), key=lambda p: p.network == "bn_x5")
    }
    return sorted(gains, key=lambda line: (line[0], -(gains[line] or 0)))


def draw(axis: Axes, evidence: Evidence, at: Places, network: str, in_steps: bool) -> None:
    """What every change does in one network."""
    metric = log_steps_ratio if in_steps else last_accuracy_gain
    scale: Callable[[float], float] = math.exp if in_steps else partial(mul, 100)
    for pair in pairs(evidence):
        if pair.network == network:
            y = at[pair.few, pair.change] - APART * (list(SHOWN).index(network) - 1)
            draw_values(axis, y, metric(evidence, pair._asdict()), network, scale)


def draw_values(
    axis: Axes, y: float, values: Values, network: str, scale: Callable[[float], float]
) -> None:
    """Every seed as a point, the mean with its interval; a cross where a seed has no value."""
    there, colour = known(values), arm(network).colour
    axis.plot([scale(v) for v in there], [y] * len(there), ".", color=colour, alpha=0.5, ms=5)
    if len(there) < len(values) or not there:
        lost = f"{SHOWN[network]}: {mean_text(values, 0)}"
        axis.plot(scale(0), y, "x", color=colour, ms=8, label=lost)
        return
    interval = t_interval(there)
    axis.plot([scale(bound) for bound in interval.bounds()], [y, y], color=colour, linewidth=1.8)
    look: dict[str, Any] = {"color": colour, "mec": "white", "ms": 7, "zorder": 4}
    axis.plot(scale(interval.mean), y, MARKERS[network], label=SHOWN[network], **look)


def scale_axes(speed: Axes, accuracy: Axes) -> None:
    """Logarithmic axes, the accuracy's linear within a percentage point of no difference."""
    speed.set(xscale="log", xlabel="times as fast with the change, in steps")
    low, high = speed.get_xlim()
    speed.set_xlim(min(low, 0.65), max(high, 1.5))
    ticks_within(speed.xaxis, RATIOS if high / low > 10 else sorted({*RATIOS, *NARROW}))
    accuracy.set_xscale("symlog", linthresh=1)
    accuracy.set_xlabel("gain in last accuracy with the change, percentage points")
    low, high = accuracy.get_xlim()
    accuracy.set_xlim(1.1 * min(low, -1.1), 1.1 * max(high, 1.1))
    ticks_within(accuracy.xaxis, POINTS)
    for axis, none in ((speed, 1), (accuracy, 0)):
        axis.axvline(none, color="#444444", linewidth=0.9, zorder=1.6)


def name_lines(axis: Axes, evidence: Evidence, at: Places) -> None:
    """The changes beside the first panel, under a heading for each setting."""
    marks = {y: CHANGES[change] for (_, change), y in at.items()}
    headings = {}
    for few in {few for few, _ in at}:
        top = max(y for line, y in at.items() if line[0] == few)
        untested = "" if testable(evidence, few) else f":\n{UNTESTED}"
        headings[top + HEADING] = images(evidence, few) + untested
    marks |= headings
    axis.set_yticks(list(marks), list(marks.values()))
    axis.set_ylim(min(marks, default=0) - 0.6, 0.5)
    for text in axis.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() in headings.values() else "normal")


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    x5 = [p for p in pairs(evidence) if p.network == "bn_x5"]
    if not x5:
        return "Not compared: no change of BN-x5 is finished."
    x5.sort(key=lambda p: list(CHANGES).index(p.change))
    speeds, gains = [], []
    for p in x5:
        if p.few:
            gain = mean_text(last_accuracy_gain(evidence, p._asdict()), 2, 100)
            gains.append(f"{CHANGES[p.change]} {gain}")
        else:
            speed = ratio_text(log_steps_ratio(evidence, p._asdict()))
            speeds.append(f"{CHANGES[p.change]} {speed}")
    replicas = max(run.get("replicas") or 1 for run in evidence.runs)
    gap = mean_text(train_test_gap(evidence, {"arm": PLAIN[True]}), 1, 100)
    return (
        f"With {replicas} asynchronous replicas, BN-x5 with each change over without it, times as "
        f"fast in steps: {', '.join(speeds)}. "
        f"Where Inception overfits (by {gap} percentage points), its last accuracy gains, in "
        f"percentage points: {', '.join(gains)}."
    )


FIGURES = {"effects": effects}
