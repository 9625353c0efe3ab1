"""Section 3.2: what BN meets on Wu + b and on u, what its place does; feature maps."""

import math
from collections.abc import Callable
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, unique
from bnrepro.evidence.statistics import each_text, mean_text, t_interval
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.bands import band, band_over
from bnrepro.plots.panels import (
    legend_below,
    log_axes,
    panels,
    steps_from_0,
    ticks_at,
    ticks_within,
)
from bnrepro.plots.style import ARMS, Arm, nonlinearity
from experiments.placement import metrics

PLACES = {
    "none": ARMS["baseline"],
    "preactivation": Arm("BN(Wu), before g", ARMS["bn"].colour, "-"),
    "hidden_input": ARMS["bn_input"],
    "after": ARMS["bn_after"],
    "image": Arm("W BN(u), the image too", ARMS["bn_activation"].colour, (0, (1, 1))),
}
MARKERS = dict(zip(PLACES, "^oDsv", strict=True))
WHAT = {
    "u": Arm("u, the layer's input", "#d1603d", (0, (4, 2))),
    "x": Arm("Wu + b, the nonlinearity's input", "#1b3a5b", "-"),
}
SHAPES = {
    "gaussian_distance": "Kolmogorov distance to a Gaussian",
    "absolute_skewness": "absolute skewness",
    "kurtosis": "excess kurtosis",
    "zeros": "share of zeros",
    "shape_change": "change of shape since the point before",
}
KINDS = {
    "none": ARMS["baseline"],
    "map": Arm("BN per feature map", ARMS["bn"].colour, "-"),
    "activation": ARMS["bn_activation"],
}
SHIFTS = {
    "alike": ("one shift,\nγ, β alike", "training, one shift for all, γ and β alike"),
    "own": ("own\nshifts", "training, a shift of its own for each image"),
    "learned": ("one shift,\nγ, β learned", "training, one shift for all, γ and β learned"),
    "inference": ("inference", "inference"),
    "padded": ("zero\npadding", "training, zeros for padding, own shifts within a margin"),
}
COMMUTING: dict[str, Callable[..., float]] = {"map": max, "activation": min}  # over seeds
FOOT = 1e-18  # where a change of exactly zero is drawn


def judged(evidence: Evidence) -> str:
    """The layers that measures of shape are means over, in words."""
    layers = [name[-1] for name in unique(evidence.shape, "layer") if name in metrics.JUDGED]
    return f"hidden layer{'s' * (len(layers) > 1)} {' and '.join(layers) or '–'}"


def shape_figure(evidence: Evidence) -> Figure:
    """Rows: activations; columns: densities, then measures of shape over training; no BN."""
    activations = unique(evidence.accuracy, "activation")
    figure, grid = panels(len(activations), 1 + len(SHAPES), (20, 3.6 * len(activations)))
    for axes, activation in zip(grid, activations, strict=True):
        density_panel(axes[0], evidence, activation)
        for axis, column in zip(axes[1:], SHAPES, strict=True):
            shape_panel(axis, evidence, activation, column)
    for axis, name in zip(grid[0, 1:], SHAPES.values(), strict=True):
        axis.set_title(name, fontsize=10)
    grid[0, 0].set_title("standardised values at the end", fontsize=10)
    for axis in grid[-1, 1:]:
        axis.set_xlabel("training steps")
    legend_below(figure, grid[:, 1:].flat, 3)
    figure.suptitle(
        f"Without BN: the two places where it could go, {judged(evidence)}, "
        f"{len(all_seeds(evidence))} seeds"
    )
    return figure


def density_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Both layers and all units of the first seed together, beside N(0, 1)."""
    rows = evidence.where("density", activation=activation, arm="none")
    places = sorted(unique(rows, "z"))
    normal = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in places]
    axis.plot(places, normal, color="#aaaaaa", linewidth=4)
    for what, look in WHAT.items():
        found = [row for row in rows if row["what"] == what and row["layer"] in metrics.JUDGED]
        heights = {z: fmean(r["density"] for r in each) for z, each in grouped(found, "z").items()}
        axis.plot(list(heights), list(heights.values()), linewidth=1.8, **look.line)
    axis.set(ylabel=f"{nonlinearity(activation)} network\ndensity", xlabel="standard deviations")


def shape_panel(axis: Axes, evidence: Evidence, activation: str, column: str) -> None:
    """A measure of the shapes of u and Wu + b over training, beside a Gaussian sample's."""
    if sample := metrics.gaussian_values(evidence, column):
        level, text = t_interval(sample).mean, "a Gaussian (a sample as large)"
        axis.axhline(level, color="#aaaaaa", linewidth=4, label=text)
    steps = metrics.stops(evidence)
    compared = steps[1:] if column == "shape_change" else steps  # with the shape before
    for what, look in WHAT.items():
        at = grouped(metrics.shapes(evidence, what, activation), "step")
        seeds = all_seeds(evidence)
        shown = [step for step in at if step in compared]
        values = [[metrics.shape_mean(at[t], column, seed) for seed in seeds] for t in shown]
        band(axis, shown, values, look, "o" if what == "x" else "s")
    steps_from_0(axis, steps)
    bottom = min(0, axis.get_ylim()[0])
    axis.set_ylim(*((-0.02, 1) if column == "zeros" else (bottom, None)))


def accuracy_figure(evidence: Evidence) -> Figure:
    """Each arm at its best rate over training; at the end at every rate; convolutions."""
    activations = unique(evidence.accuracy, "activation")
    size = (5 * len(activations) + 4, 8)
    figure, axes = panels(2, len(activations) + 1, size)
    for column, activation in enumerate(activations):
        curve_panel(axes[0, column], evidence, activation)
        rate_panel(axes[1, column], evidence, activation)
    kind_panel(axes[0, -1], evidence)
    shift_panel(axes[1, -1], evidence)
    legend_below(figure, axes[0, :-1])
    count = len(all_seeds(evidence))
    figure.suptitle(f"The place of BN: {count} seeds, mean and 95 % interval")
    return figure


def curve_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Test accuracy over training, each arm at its best rate."""
    for arm, look in PLACES.items():
        lr = metrics.best_rate(evidence, activation, arm)
        rows = evidence.where("accuracy", activation=activation, arm=arm, lr=lr)
        band_over(axis, rows, "step", percent, look, MARKERS[arm])
    steps_from_0(axis, metrics.stops(evidence))
    axis.set_title(f"{nonlinearity(activation)}: each at its own best rate")
    axis.set(xlabel="training steps", ylabel="test accuracy, %", ylim=(0, 100))


def percent(row: Row) -> float | None:
    """Accuracy in per cent; None where the network diverged."""
    accuracy = metrics.finite_accuracy(row)
    return None if accuracy is None else 100 * accuracy


def rate_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Test error at the end at every rate."""
    errors, rates = [], unique(evidence.accuracy, "lr")
    for arm, look in PLACES.items():
        rows = metrics.last_rows(evidence, activation, arm)
        band_over(axis, rows, "lr", lambda row: 100 * (1 - row["accuracy"]), look, MARKERS[arm])
        errors += [100 * (1 - row["accuracy"]) for row in rows]
    log_axes(axis)
    axis.set_title(f"{nonlinearity(activation)}: at the end")
    axis.set(xlabel="learning rate", ylabel="test error, %")
    axis.set_ylim(max(min(errors), 0.5) / 1.2, max(errors) * 1.2)
    ticks_at(axis.xaxis, sorted(rates))
    ticks_within(axis.yaxis, (1, 2, 3, 5, 7, 10, 20, 50, 90))


def kind_panel(axis: Axes, evidence: Evidence) -> None:
    """Test accuracy of the convolutional network with each kind of BN."""
    for place, (kind, look) in enumerate(KINDS.items()):
        found = [100 * row["accuracy"] for row in evidence.where("conv_accuracy", kind=kind)]
        interval = t_interval(found)
        low, high = interval.bounds()
        axis.plot([place - 0.12] * len(found), found, "o", color="#777777", ms=4)
        error = [[interval.mean - low], [high - interval.mean]]
        axis.errorbar(place, interval.mean, error, fmt="D", color=look.colour, capsize=4)
    names = (look.label for look in KINDS.values())
    labels = [name.replace(" per ", "\nper ").replace(" BN", "\nBN") for name in names]
    axis.set_xticks(range(len(KINDS)), labels)
    axis.set(title="Convolutional network", ylabel="test accuracy, %", xlim=(-0.5, 2.5))


def shift_panel(axis: Axes, evidence: Evidence) -> None:
    """How far BN of a convolution is from commuting with shifts."""
    for kind, marker in zip(COMMUTING, "os", strict=True):
        values = [max(changed(evidence, kind, setting), FOOT) for setting in SHIFTS]
        label, colour, _ = KINDS[kind]
        axis.plot(range(len(SHIFTS)), values, marker, color=colour, ms=8, label=label)
    axis.set(title="Convolution and BN of shifted images", yscale="log", ylim=(FOOT / 5, 1e5))
    axis.set(ylabel="relative change against a shifted output")
    ticks_at(axis.yaxis, [FOOT, 1e-15, 1e-10, 1e-5, 1], ["0", "1e−15", "1e−10", "1e−5", "1"])
    axis.set_xticks(range(len(SHIFTS)), [short for short, _ in SHIFTS.values()], fontsize=8)
    axis.legend(loc="center left")


def changed(evidence: Evidence, kind: str, setting: str) -> float:
    """The change under shifts that tells most: the largest of what should be small."""
    rows = evidence.where("shift", kind=kind, setting=setting)
    return COMMUTING[kind](row["change"] for row in rows)


FIGURES = {"shapes": shape_figure, "accuracy": accuracy_figure}


def tables(evidence: Evidence) -> list[Table]:
    """Distributions, accuracies, convolutional networks, and shifts."""
    shapes = [shape_table(evidence, arm) for arm in ("none", "preactivation")]
    others = (accuracy_table, convolution_table, shift_table)
    return [*shapes, *(table(evidence) for table in others)]


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
    networks = [(a, w) for a in unique(evidence.accuracy, "activation") for w in "ux"]
    words = {"u": "u", "x": "Wu + b"}
    names = [f"{nonlinearity(activation)}, {words[w]}" for activation, w in networks]
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
            each = [mean_text([r["accuracy"] for r in at.get(lr, [])], 2, 100) for lr in rates]
            best = metrics.best_accuracy(evidence, activation, arm)
            shown = (
                f"{mean_text(best, 2, 100)} (lr {metrics.best_rate(evidence, activation, arm):g})"
            )
            rows.append(
                [f"{nonlinearity(activation)}, {look.label}", *each, shown, each_text(best, 2, 100)]
            )
    return rows


def convolution_table(evidence: Evidence) -> Table:
    """The small convolutional network: learned numbers of BN and accuracy."""
    rows = [["convolutional network", "γ and β learned", "test accuracy, %", "by seed"]]
    first = all_seeds(evidence)[0]
    for kind, look in KINDS.items():
        found = [row["accuracy"] for row in evidence.where("conv_accuracy", kind=kind)]
        numbers = sum(row["numbers"] for row in evidence.where("pairs", kind=kind, seed=first))
        rows.append(
            [look.label, f"{numbers:,}", mean_text(found, 2, 100), each_text(found, 2, 100)]
        )
    return rows


def shift_table(evidence: Evidence) -> Table:
    """Relative change when BN and convolution meet a shift; and b's gradient."""
    rows = [["does BN of a convolution commute with shifts?", "per feature map", "per activation"]]
    for setting, (_, label) in SHIFTS.items():
        changes = [f"{changed(evidence, kind, setting):.1e}" for kind in COMMUTING]
        rows.append([label, *changes])
    bias = []
    for kind in COMMUTING:
        found = [row["gradient"] for row in evidence.bias if row["kind"] in (kind, "dense")]
        bias.append(f"{max(found):.1e}")
    return [*rows, ["gradient of b ahead of BN, relative", *bias]]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = []
    for activation in unique(evidence.accuracy, "activation"):
        u, x = (shape_text(evidence, "gaussian_distance", w, activation) for w in "ux")
        before, after = (
            mean_text(
                metrics.best_accuracy(evidence, activation, arm), 2, 100, " %", interval=False
            )
            for arm in ("preactivation", "after")
        )
        parts.append(
            f"{nonlinearity(activation)}: mean distance to a Gaussian in training {x} for Wu + b, "
            f"{u} for u; accuracy {before} with BN before the nonlinearity, {after} after it"
        )
    by_map, by_activation = (metrics.shift_changes(evidence, kind) for kind in COMMUTING)
    return (
        "; ".join(parts) + f"; a shift changes per-feature-map BN by at most "
        f"{max(by_map):.0e}, per-activation BN by at least {min(by_activation):.2f}."
    )
