"""The figures of Section 3.2's experiment."""

import math
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.statistics import t_interval
from bnrepro.plots.bands import band
from bnrepro.plots.style import RC, Arm
from experiments.placement.metrics import (
    JUDGED,
    best_rate,
    gaussian_values,
    last_rows,
    shape_mean,
    stops,
)
from experiments.placement.tables import (
    KINDS,
    PLACES,
    SHAPES,
    SHIFTS,
    activations_of,
    answer,
    tables,
    title,
)

__all__ = ["FIGURES", "answer", "tables"]

MARKERS = dict(zip(PLACES, "^oDs", strict=True))
WHAT = {
    "u": Arm("u, the layer's input", "#d1603d", (0, (4, 2))),
    "x": Arm("Wu + b, the nonlinearity's input", "#1b3a5b", "-"),
}


def shape_figure(evidence: Evidence) -> Figure:
    """Rows: activations; columns: densities, then measures of shape over training; no BN."""
    activations = activations_of(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(activations),
            1 + len(SHAPES),
            figsize=(20, 3.6 * len(activations)),
            squeeze=False,
            layout="constrained",
        )
        for row, activation in zip(axes, activations, strict=True):
            _density_panel(row[0], evidence, activation)
            for axis, column in zip(row[1:], SHAPES, strict=True):
                _shape_panel(axis, evidence, activation, column)
        for axis, name in zip(axes[0, 1:], SHAPES.values(), strict=True):
            axis.set_title(name, fontsize=10)
        axes[0, 0].set_title("standardised values at the end", fontsize=10)
        for axis in axes[-1, 1:]:
            axis.set_xlabel("training steps")
        handles, labels = axes[0, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.suptitle(
            "Without BN: the two places where it could go, hidden layers 2 and 3, "
            f"{len(all_seeds(evidence))} seeds"
        )
    return figure


def _density_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Both layers and all units of the first seed together, beside N(0, 1)."""
    rows = evidence.where("density", activation=activation, arm="none")
    places = sorted({r["z"] for r in rows})
    normal = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in places]
    axis.plot(places, normal, color="#aaaaaa", linewidth=4)
    for what, arm in WHAT.items():
        judged = [r for r in rows if r["what"] == what and r["layer"] in JUDGED]
        found = [[r["density"] for r in judged if r["z"] == z] for z in places]
        heights = [sum(values) / len(values) for values in found]
        axis.plot(places, heights, color=arm.colour, linestyle=arm.dash, linewidth=1.8)
    axis.set(ylabel=f"{title(activation)} network\ndensity", xlabel="standard deviations")


def _shape_panel(axis: Axes, evidence: Evidence, activation: str, column: str) -> None:
    steps = stops(evidence)
    sample = gaussian_values(evidence, column)
    if sample:
        label = "a Gaussian (a sample as large)"
        axis.axhline(t_interval(sample).mean, color="#aaaaaa", linewidth=4, label=label)
    for what, arm in WHAT.items():
        rows = evidence.where("shape", arm="none", activation=activation, what=what)
        at = [[r for r in rows if r["step"] == step] for step in steps]
        values = [[shape_mean(found, column, s) for s in all_seeds(evidence)] for found in at]
        band(axis, steps, values, arm, "o" if what == "x" else "s")
    _step_axis(axis, steps)
    if column == "zeros":
        axis.set_ylim(-0.02, 1)
    else:
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))


def _step_axis(axis: Axes, steps: Sequence[int]) -> None:
    axis.set_xscale("symlog", linthresh=max(1, next((s for s in steps if s), 1)))
    axis.set_xticks(steps, [f"{s:g}" for s in steps])
    axis.minorticks_off()


def accuracy_figure(evidence: Evidence) -> Figure:
    """Each arm at its best rate over training; at the end at every rate; convolutions."""
    activations = activations_of(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            2, len(activations) + 1, figsize=(5 * len(activations) + 4, 8), layout="constrained"
        )
        for column, activation in enumerate(activations):
            _curves(axes[0, column], evidence, activation)
            _rates(axes[1, column], evidence, activation)
        _kinds(axes[0, -1], evidence)
        _commuting(axes[1, -1], evidence)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle(
            f"The place of BN: {len(all_seeds(evidence))} seeds, mean and 95 % interval"
        )
    return figure


def _curves(axis: Axes, evidence: Evidence, activation: str) -> None:
    for arm, place in PLACES.items():
        lr = best_rate(evidence, activation, arm)
        rows = evidence.where("accuracy", activation=activation, arm=arm, lr=lr)
        steps = sorted({r["step"] for r in rows})
        values = [[100 * r["accuracy"] for r in rows if r["step"] == s] for s in steps]
        band(axis, steps, values, place, MARKERS[arm])
    _step_axis(axis, stops(evidence))
    axis.set_title(f"{title(activation)}: each at its own best rate")
    axis.set(xlabel="training steps", ylabel="test accuracy, %", ylim=(0, 100))


def _rates(axis: Axes, evidence: Evidence, activation: str) -> None:
    for arm, place in PLACES.items():
        rows = last_rows(evidence, activation, arm)
        rates = sorted({r["lr"] for r in rows})
        values = [[100 * (1 - r["accuracy"]) for r in rows if r["lr"] == lr] for lr in rates]
        band(axis, rates, values, place, MARKERS[arm])
    axis.set(title=f"{title(activation)}: at the end", xscale="log", yscale="log")
    axis.set(xlabel="learning rate", ylabel="test error, %")
    axis.set_xticks(rates, [f"{lr:g}" for lr in rates])
    errors = [100 * (1 - r["accuracy"]) for a in PLACES for r in last_rows(evidence, activation, a)]
    axis.set_ylim(max(min(errors), 0.5) / 1.2, max(errors) * 1.2)
    low, high = axis.get_ylim()
    ticks = [t for t in (1, 2, 3, 5, 7, 10, 20, 50, 90) if low <= t <= high]
    axis.set_yticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()


def _kinds(axis: Axes, evidence: Evidence) -> None:
    for place, (kind, arm) in enumerate(KINDS.items()):
        found = [100 * r["accuracy"] for r in evidence.where("conv_accuracy", kind=kind)]
        interval = t_interval(found)
        low, high = (interval.mean if b is None else b for b in (interval.low, interval.high))
        axis.plot([place - 0.12] * len(found), found, "o", color="#777777", ms=4)
        error = [[interval.mean - low], [high - interval.mean]]
        axis.errorbar(place, interval.mean, error, fmt="D", color=arm.colour, capsize=4)
    names = (arm.label for arm in KINDS.values())
    labels = [name.replace(" per ", "\nper ").replace(" BN", "\nBN") for name in names]
    axis.set_xticks(range(len(KINDS)), labels)
    axis.set(title="Convolutional network", ylabel="test accuracy, %", xlim=(-0.5, 2.5))


def _commuting(axis: Axes, evidence: Evidence) -> None:
    foot = 1e-18  # a change of exactly zero is drawn here
    show: dict[str, tuple[str, Callable[..., float]]] = {
        "map": ("o", max),
        "activation": ("s", min),
    }
    for kind, (marker, choose) in show.items():
        found = [evidence.where("shift", kind=kind, setting=s) for s in SHIFTS]
        values = [max(choose(r["change"] for r in rows), foot) for rows in found]
        label, colour, _ = KINDS[kind]
        axis.plot(range(len(SHIFTS)), values, marker, color=colour, ms=8, label=label)
    axis.set(title="Convolution and BN of shifted images", yscale="log", ylim=(foot / 5, 1e5))
    axis.set(ylabel="relative change against a shifted output")
    axis.set_yticks([foot, 1e-15, 1e-10, 1e-5, 1], ["0", "1e−15", "1e−10", "1e−5", "1"])
    axis.set_xticks(range(len(SHIFTS)), [short for short, _ in SHIFTS.values()], fontsize=8)
    axis.legend(loc="center left")


FIGURES = {"shapes": shape_figure, "accuracy": accuracy_figure}
