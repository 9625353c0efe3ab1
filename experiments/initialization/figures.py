"""Figures of the claims on initialisation; each says in its title what to see."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import known, t_interval
from bnrepro.evidence.sweeps import accuracy, activations
from bnrepro.plots.bands import band
from bnrepro.plots.curves import step_axis
from bnrepro.plots.panels import legend_below, legend_in, panels, ticks_within
from bnrepro.plots.style import arm, nonlinearity, on_data
from experiments.initialization.metrics import (
    ARMS,
    PLATEAU,
    REACH,
    by_std,
    case_cost,
    plateau_steps,
)
from experiments.initialization.tables import CASE_NAMES, answer, plateau_words, tables, width_words

__all__ = ["FIGURES", "answer", "tables"]

TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000)  # steps on the plateau
BAD = [case for case in CASE_NAMES if case != "normal"]
# standard deviations of square layers of 100 units by the usual rules
RULES = {"Glorot": (2 / 200) ** 0.5, "He": (2 / 100) ** 0.5}


def range_figure(evidence: Evidence) -> Figure:
    """Test accuracy at the end of a short run against the standard deviation of the initial
    weights: without BN networks train in a narrow band, with BN over a range many times as wide."""
    shown = activations(evidence)
    figure, (axes,) = panels(1, len(shown), (6.2 * len(shown), 4.4), sharey=True)
    for axis, activation in zip(axes, shown, strict=True):
        std_panel(axis, evidence, activation)
    axes[0].set_ylabel("test accuracy at the end; diverged: 0")
    legend_below(figure, axes[:1], fontsize=8)
    title = f"Initial weights that reach {REACH:.0%} of the plain network's best accuracy"
    words = "; ".join(f"{name} {widths}" for name, widths in width_words(evidence).items())
    figure.suptitle(on_data(f"{title}:\n{words}", evidence.data), fontsize=11)
    return figure


def std_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Every seed at the plain network's best rate; thin: at the best rate for each value."""
    for name in ARMS:
        each = {
            rates: [by_std(evidence, name, activation, s, rates) for s in all_seeds(evidence)]
            for rates in ("plain", "own")
        }
        stds = [row["init_std"] for row in each["plain"][0]]
        heights = {
            k: [[accuracy(r) for r in at] for at in zip(*v, strict=True)] for k, v in each.items()
        }
        band(axis, stds, heights["plain"], arm(name), interval=False)
        means = [t_interval(at).mean for at in heights["own"]]
        label = f"{arm(name).label}, best rate for each value"
        axis.plot(stds, means, color=arm(name).colour, linewidth=0.9, marker=".", label=label)
    for rule, std in RULES.items():
        axis.axvline(std, color="#888888", linewidth=0.8, linestyle=(0, (2, 2)))
        side: dict[str, Any] = {"ha": "right" if rule == "Glorot" else "left", "fontsize": 8}
        axis.annotate(f" {rule} ", (std, 1.0), color="#555555", va="bottom", **side)
    axis.set(xscale="log", xlabel="initial standard deviation", ylim=(0, 1.05))
    axis.set_title(f"{nonlinearity(activation)}, at the plain network's best rate", pad=14)


def cases_figure(evidence: Evidence) -> Figure:
    """What four bad starts cost in test accuracy, each network at its best rate for that start; a
    bar is the mean, a point a seed. A short bar is a start that hardly matters."""
    shown = activations(evidence)
    figure, (axes,) = panels(1, len(shown), (5.6 * len(shown), 3.6), sharey=True)
    for axis, activation in zip(axes, shown, strict=True):
        for shift, name in zip((-0.13, 0.13), ARMS, strict=True):
            cost_bars(axis, evidence, activation, name, shift)
        axis.axvline(0, color="black", linewidth=0.7)
        axis.set(title=nonlinearity(activation), xlabel="test accuracy lost, percentage points")
    axes[0].set_yticks(range(len(BAD)), [CASE_NAMES[case] for case in BAD])
    axes[0].invert_yaxis()
    legend_in(axes[-1], fontsize=8)
    title = "What a bad start costs, each network at its best rate for that start"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def cost_bars(axis: Axes, evidence: Evidence, activation: str, name: str, shift: float) -> None:
    """A bar a bad start for one arm: the mean cost, and every seed's as a point."""
    look = arm(name)
    for place, case in enumerate(BAD):
        claim = {"activation": activation, "case": case}
        cost = [100 * case_cost(evidence, name, claim, seed) for seed in all_seeds(evidence)]
        height, mean = place + shift, t_interval(cost).mean
        axis.barh(height, mean, 0.24, alpha=0.45, color=look.colour, label=look.label)
        axis.plot(cost, [height] * len(cost), ".", color=look.colour)


def plateau_figure(evidence: Evidence) -> Figure:
    """From small initial weights a sigmoid network without BN stays on a plateau before it learns
    anything (left), the longer the smaller they are (right); with BN it leaves it much earlier."""
    stds = sorted(unique(evidence.plateau, "init_std"))
    figure, ((curves, steps),) = panels(1, 2, (10.5, 4.2))
    for name in ARMS:
        for alpha, std in zip((1, 0.75, 0.5, 0.3), stds, strict=False):
            curve_line(curves, evidence, name, std, alpha)
        plateau_line(steps, evidence, name)
    step_axis(curves)
    curves.set(xlabel="training step", ylabel="test accuracy, mean of the seeds")
    curves.set_title(f"pale: larger initial weights ({stds[0]:g} to {stds[-1]:g})")
    legend_in(curves, fontsize=8)
    steps.set(xscale="log", yscale="log", xlabel="initial standard deviation")
    steps.set_ylabel(f"steps to {PLATEAU:.0%} accuracy; ▲ not in the budget")
    ticks_within(steps.yaxis, TICKS)
    steps.set_xticks(stds, [f"{std:g}" for std in stds])
    steps.legend(fontsize=8)
    title = f"Small initial weights (sigmoid), {plateau_words(evidence)}"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def plateau_line(axis: Axes, evidence: Evidence, name: str) -> None:
    """Steps on the plateau against the standard deviation; a triangle where the budget ends."""
    stds = sorted(unique(evidence.plateau, "init_std"))
    steps = [[plateau_steps(evidence, name, std, s) for s in all_seeds(evidence)] for std in stds]
    whole = [[] if None in each else each for each in steps]  # a mean of the rest means nothing
    band(axis, stds, whole, arm(name), interval=False)
    budget = max(row["step"] for row in evidence.plateau)
    for std, each in zip(stds, steps, strict=True):
        if None in each:
            there = known(each)
            axis.plot([std] * len(there), there, "o", color=arm(name).colour, ms=2.6)
            axis.plot(std, budget, "^", color=arm(name).colour)


def curve_line(axis: Axes, evidence: Evidence, name: str, std: float, alpha: float) -> None:
    """The mean accuracy over steps of an arm from one standard deviation."""
    rows = evidence.where("plateau", arm=name, init_std=std)
    steps = unique(rows, "step")
    means = [t_interval([accuracy(r) for r in rows if r["step"] == s]).mean for s in steps]
    axis.plot(steps, means, alpha=alpha, label=arm(name).label, **arm(name).line)


FIGURES = {"range": range_figure, "bad-starts": cases_figure, "plateau": plateau_figure}
