"""Section 3.2: what BN meets on Wu + b and on u, what its place does; feature maps."""

import math
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, unique
from bnrepro.evidence.statistics import each_text, known, mean_text, t_interval, upper_median
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.bands import band
from bnrepro.plots.panels import (
    legend_below,
    log_axes,
    name_panels,
    panels,
    steps_from_0,
    ticks_at,
    ticks_within,
)
from bnrepro.plots.style import ARMS, Arm, nonlinearity
from experiments.placement import metrics
from experiments.placement.convolution_figures import (
    COMMUTING,
    convolution_figure,
    convolution_table,
    shift_table,
)

PLACES = {
    "none": ARMS["baseline"],
    "preactivation": Arm("BN(Wu), before g", ARMS["bn"].colour, "-"),
    "hidden_input": ARMS["bn_input"],
    "after": ARMS["bn_after"],
    "image": Arm("W BN(u), the image too", ARMS["bn_activation"].colour, (0, (1, 1))),
}
SHOWN = ("none", "preactivation", "hidden_input", "after")  # in figures; the table has all
MARKERS = dict(zip(PLACES, "^oDsv", strict=True))
WHAT = {
    "u": Arm("u", "#6a3d9a", (0, (4, 2))),
    "x": Arm("Wu + b", "#01665e", "-"),
}
SHAPES = {
    "gaussian_distance": "Kolmogorov distance to a Gaussian",
    "absolute_skewness": "absolute skewness",
    "kurtosis": "excess kurtosis",
    "zeros": "share of zeros",
    "shape_change": "change of shape since the point before",
}


def judged(evidence: Evidence) -> str:
    """The layers that measures of shape are means over, in words."""
    layers = [name[-1] for name in unique(evidence.shape, "layer") if name in metrics.JUDGED]
    return f"hidden layer{'s' * (len(layers) > 1)} {' and '.join(layers) or '–'}"


def shape_figure(evidence: Evidence) -> Figure:
    """Without BN, what a nonlinearity is given, Wu + b, is closer to a Gaussian than the layer's
    input u: slightly so with sigmoids, by far with ReLU, whose u is half zeros.

    Densities at the end of training, of units that are shifted and scaled to mean 0 and variance 1;
    all units of the judged layers, one seed. (c) is the largest difference of the two distribution
    functions: lines are means over seeds, points are seeds, grey is a Gaussian sample.
    """
    activations = unique(evidence.accuracy, "activation")
    figure, (axes,) = panels(1, len(activations) + 1, (3.5 * (len(activations) + 1), 3.9))
    for axis, activation in zip(axes, activations, strict=False):
        density_panel(axis, evidence, activation)
    for activation in activations:
        shape_lines(axes[-1], evidence, activation, "gaussian_distance")
    if sample := metrics.gaussian_values(evidence, "gaussian_distance"):
        axes[-1].axhline(t_interval(sample).mean, color="#aaaaaa", linewidth=4)
    axes[-1].set_ylabel("Kolmogorov distance")
    names = [f"{nonlinearity(activation)}, {judged(evidence)}" for activation in activations]
    name_panels(axes, [*names, "distance to a Gaussian"])
    legend_below(figure, axes, 5, fontsize=9)
    return figure


def change_figure(evidence: Evidence) -> Figure:
    """Change of a distribution's shape since the step before on the axis, without BN: with ReLU
    that of u changes more in training than that of Wu + b, as Section 3.2 expects; with sigmoids
    Wu + b changes more at first and u at the end.

    Mean and variance apart: lines are means over seeds, units and the judged layers, points are
    seeds.
    """
    activations = unique(evidence.accuracy, "activation")
    figure, (axes,) = panels(1, len(activations), (4.5 * len(activations), 3.7))
    for axis, activation in zip(axes, activations, strict=True):
        shape_lines(axis, evidence, activation, "shape_change")
        axis.set(ylabel="change of shape (Wasserstein distance)", ylim=(0, None))
    name_panels(axes, (f"{nonlinearity(a)}, {judged(evidence)}" for a in activations))
    legend_below(figure, axes)
    return figure


def density_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Both layers and all units of the first seed together, beside N(0, 1)."""
    rows = evidence.where("density", activation=activation, arm="none")
    places = sorted(unique(rows, "z"))
    normal = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in places]
    axis.plot(places, normal, color="#aaaaaa", linewidth=4, label="Gaussian")
    for what in WHAT:
        found = [row for row in rows if row["what"] == what and row["layer"] in metrics.JUDGED]
        heights = {z: fmean(r["density"] for r in each) for z, each in grouped(found, "z").items()}
        points = list(heights), list(heights.values())
        axis.plot(*points, linewidth=1.8, **look(what, activation).line)
    axis.set(ylabel="density at the end", xlabel="standard deviations")


def look(what: str, activation: str) -> Arm:
    """How u or Wu + b of a network is drawn: pale with ReLU."""
    label, colour, dash = WHAT[what]
    pale = {"u": "#b79ad6", "x": "#7bc4b8"}
    name = f"{nonlinearity(activation)}: {label}"
    return Arm(name, pale[what] if activation == "relu" else colour, dash)


def shape_lines(axis: Axes, evidence: Evidence, activation: str, column: str) -> None:
    """A measure of the shapes of u and Wu + b over training."""
    steps = metrics.stops(evidence)
    shown = steps[1:] if column == "shape_change" else steps  # with the shape before
    for what in WHAT:
        at = grouped(metrics.shapes(evidence, what, activation), "step")
        seeds = all_seeds(evidence)
        values = [[metrics.shape_mean(at[t], column, seed) for seed in seeds] for t in shown]
        band(axis, shown, values, look(what, activation), "o" if what == "x" else "s", False)
    steps_from_0(axis, shown)
    axis.set_xlabel("training steps")


def accuracy_figure(evidence: Evidence) -> Figure:
    """BN before the nonlinearity trains at high rates at which BN at the other places fails in some
    or all seeds (a, b). At each network's own best rate it is not the most accurate with sigmoids,
    where BN on the hidden layers' inputs ends higher, and with ReLU all places end alike (c).

    Points are seeds, crosses seeds whose loss left the finite numbers, lines medians, bars means. A
    point in (c) is a seed's accuracy with BN before the nonlinearity minus that of another network.
    """
    activations = unique(evidence.accuracy, "activation")
    figure, (axes,) = panels(1, len(activations) + 1, (3.5 * (len(activations) + 1), 4))
    for axis, activation in zip(axes, activations, strict=False):
        rate_panel(axis, evidence, activation)
    gain_panel(axes[-1], evidence, activations)
    names = [f"{nonlinearity(activation)}, at the end" for activation in activations]
    name_panels(axes, [*names, "each at its best rate"])
    legend_below(figure, axes[:-1])
    return figure


def rate_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Test error at the end at every rate: the seeds, and their median."""
    rates = sorted(unique(evidence.accuracy, "lr"))
    for arm in SHOWN:
        at = grouped(metrics.last_rows(evidence, activation, arm), "lr")
        place, shown = PLACES[arm], [lr for lr in rates if at.get(lr)]
        medians = [upper_median([error(row) for row in at[lr]]) for lr in shown]
        axis.plot(shown, medians, linewidth=1.8, label=place.label, **place.line)
        for row in (row for lr in shown for row in at[lr]):
            marker = "x" if metrics.finite_accuracy(row) is None else MARKERS[arm]
            axis.plot(row["lr"], error(row), marker, color=place.colour, ms=4, alpha=0.6)
    log_axes(axis)
    axis.set(xlabel="learning rate", ylabel="test error, %", ylim=(None, 100))
    ticks_at(axis.xaxis, rates)
    ticks_within(axis.yaxis, (1, 2, 3, 5, 7, 10, 20, 50, 90))


def error(row: Row) -> float:
    """Test error in per cent."""
    return 100 * (1 - row["accuracy"])


def gain_panel(axis: Axes, evidence: Evidence, activations: Sequence[str]) -> None:
    """BN before the nonlinearity minus BN at the other places, each at its own best rate."""
    others = [arm for arm in SHOWN if arm != "preactivation"]
    for group, activation in enumerate(activations):
        for i, arm in enumerate(others):
            claim = {"activation": activation, "arm": "preactivation", "against": arm}
            gains = [100 * v for v in known(metrics.accuracy_gain(evidence, claim))]
            x, colour = group + 0.25 * (i - (len(others) - 1) / 2), PLACES[arm].colour
            axis.plot([x] * len(gains), gains, MARKERS[arm], color=colour, ms=5, fillstyle="none")
            if gains:
                axis.hlines(fmean(gains), x - 0.1, x + 0.1, color=colour, linewidth=2)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xticks(range(len(activations)), [nonlinearity(a) for a in activations])
    axis.set(xlim=(-0.5, len(activations) - 0.5), ylabel="accuracy gain of BN before g, points")


FIGURES = {
    "shapes": shape_figure,
    "changes": change_figure,
    "accuracy": accuracy_figure,
    "convolution": convolution_figure,
}


def tables(evidence: Evidence) -> list[Table]:
    """Distributions, accuracies, convolutional networks, and shifts."""
    shapes = [shape_table(evidence, arm) for arm in ("none", "preactivation")]
    makers = (accuracy_table, convolution_table, shift_table)
    return [*shapes, *(make(evidence) for make in makers)]


def shape_text(
    evidence: Evidence, column: str, what: str, activation: str, arm: str = "none"
) -> str:
    """A column's mean over the judged layers, later stops and seeds."""
    rows = metrics.later_shapes(evidence, what, activation, arm)
    seeds = all_seeds(evidence) if rows else []
    values = [metrics.shape_mean(rows, column, seed) for seed in seeds]
    return mean_text(values, 3, interval=False)


def shape_table(evidence: Evidence, arm: str) -> Table:
    """One arm: u against Wu + b, means over the judged layers, later stops and seeds."""
    networks = [(a, w) for a in unique(evidence.accuracy, "activation") for w in WHAT]
    names = [f"{nonlinearity(activation)}, {WHAT[w].label}" for activation, w in networks]
    rows = [[f"{PLACES[arm].label}: {judged(evidence)}", *names, "Gaussian sample"]]
    for column, label in SHAPES.items():
        cells = [shape_text(evidence, column, w, a, arm) for a, w in networks]
        sample = mean_text(metrics.gaussian_values(evidence, column), 3, interval=False)
        rows.append([label, *cells, sample])
    return rows


def accuracy_table(evidence: Evidence) -> Table:
    """Last test accuracy in per cent at every rate, and at the rate of lowest training loss."""
    rates = sorted(unique(evidence.accuracy, "lr"))
    rows = [["place of BN", *(f"lr {lr:g}" for lr in rates), "own best rate", "by seed"]]
    for activation in unique(evidence.accuracy, "activation"):
        for arm, look in PLACES.items():
            at = grouped(metrics.last_rows(evidence, activation, arm), "lr")
            found = ([row["accuracy"] for row in at.get(lr, [])] for lr in rates)
            each = [mean_text(values, 2, 100, limits=(0, 1)) for values in found]
            best = metrics.best_accuracy(evidence, activation, arm)
            lr = metrics.best_rate(evidence, activation, arm)
            ends = [
                f"{mean_text(best, 2, 100, limits=(0, 1))} (lr {lr:g})",
                each_text(best, 2, 100),
            ]
            rows.append([f"{nonlinearity(activation)}, {look.label}", *each, *ends])
    return rows


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = []
    for activation in unique(evidence.accuracy, "activation"):
        u, x = (shape_text(evidence, "gaussian_distance", w, activation) for w in "ux")
        arms = ("preactivation", "after")
        best = (metrics.best_accuracy(evidence, activation, arm) for arm in arms)
        before, after = (mean_text(values, 2, 100, " %", interval=False) for values in best)
        parts.append(
            f"{nonlinearity(activation)}: mean distance to a Gaussian in training {x} for Wu + b, "
            f"{u} for u; accuracy {before} with BN before the nonlinearity, {after} after it"
        )
    by_map, by_activation = (metrics.shift_changes(evidence, kind) for kind in COMMUTING)
    return (
        "; ".join(parts) + f"; a shift changes per-feature-map BN by at most "
        f"{max(by_map):.0e}, per-activation BN by at least {min(by_activation):.2f}."
    )
