"""Figures of Section 2: exact growth of the bias, where training blows up, and how."""

from collections.abc import Mapping, Sequence
from itertools import product
from operator import truediv

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import combine, known, largest, number_text, upper_median
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import plain_numbers, seed_lines
from bnrepro.plots.panels import legend_below, name_panels, panels
from bnrepro.plots.style import Arm, arm, nonlinearity
from experiments.bias_growth import metrics

EXACT = {
    "bias": ("b, RMS over units", "b alone is trained: equal steps …"),
    "loss": ("loss", "… and its loss stays as it is"),
    "drive": ("largest |Σ ∂ℓ/∂x̂|", "what drives b, the sum of gradients"),
}
CURVES = {  # what is drawn, its name and the axis
    "loss": ("training loss", (0.2, 50)),
    "bias": ("b of the last hidden layer, RMS", (-0.05, None)),
    "weight": ("its weights, ‖W‖", (0, None)),
}
OUTSIDE = ("scale_outside", "centre_outside")
THROUGH = {"bn": "BN: gradient through the statistics", "centre": "centring, through the mean"}
EXACT_ARMS = {  # BN first: where losses are the same, the others' dashes are drawn over it
    "bn": THROUGH["bn"],
    **{name: f"{arm(name).label}, b alone" for name in OUTSIDE},
}
TRAINED_ARMS = {name: THROUGH.get(name, arm(name).label) for name in ("bn", *OUTSIDE, "centre")}
ABOVE = Arm("centring outside, layer above trained too", "#555555", (0, (3, 1, 1, 1)))


def arm_lines(axis: Axes, rows: Sequence[Row], column: str, labels: Mapping[str, str]) -> None:
    """Draw a column of the arms that have labels, every seed a line."""
    for name, label in labels.items():
        found = [row for row in rows if arm_of(row) == name]
        seed_lines(axis, found, column, arm(name)._replace(label=label), cross=False)


def arm_of(row: Row) -> str:
    """The arm as which a row is drawn."""
    if row["gradient"] == "through":
        return "bn" if row["transform"] == "scale" else "centre"
    return f"{row['transform']}_outside"


def exact_figure(evidence: Evidence) -> Figure:
    """When the gradient step takes the normalisation for constant, a bias trained by itself grows
    by the same amount at every step (a) while the loss does not change (b); with the gradient
    through the statistics it stays where it is. Once the layer above is trained too, it cuts what
    drives the bias, and the growth slows down (c).

    Every line is a seed.
    """
    figure, (axes,) = panels(1, 3, (10.5, 3.8))
    for axis, (column, (name, _)) in zip(axes, EXACT.items(), strict=True):
        gradient = {"gradient": "outside"} if column == "drive" else {}  # BN's b has no drive
        arm_lines(axis, metrics.exact(evidence, **gradient), column, EXACT_ARMS)
        seed_lines(axis, metrics.exact(evidence, above=True), column, ABOVE)
        axis.set(xlabel="gradient step on all the data", ylabel=name)
    name_panels(axes, (title for _, title in EXACT.values()))
    axes[1].set_ylim(bottom=0)
    axes[2].set_yscale("log")
    legend_below(figure, axes, 2, fontsize=9)
    return figure


def blow_up_figure(evidence: Evidence) -> Figure:
    """When the gradient step takes the normalisation's statistics for constant, training blows up
    (✗, with the number of seeds; elsewhere the median training loss at the end) at learning rates
    at which BN, the same network with the gradient through its statistics, trains on. Scaling
    outside the step too does not make it blow up at more rates than centring alone.

    Blown up: the loss is not finite or above twice that of guessing. Below the two lines the
    statistics are constants of the gradient step, renewed at each step or every so many steps.
    """
    activations = unique(evidence.training, "activation")
    size = (3.4 + 3.6 * len(activations), 3.7)
    with plt.rc_context({"axes.grid": False}):
        figure, (axes,) = panels(1, len(activations), size, sharey=True)
    for axis, activation in zip(axes, activations, strict=True):
        blow_up_map(axis, evidence, activation)
    name_panels(axes, (f"{nonlinearity(each)} network" for each in activations))
    return figure


def blow_up_map(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Draw one network's map."""
    arms, rates = by_arm(evidence, activation), sorted(unique(evidence.training, "lr"))
    shares = np.zeros((len(arms), len(rates)))
    for (i, name), (j, lr) in product(enumerate(arms), enumerate(rates)):
        found = [row for row in arms[name] if row["lr"] == lr]
        shares[i, j] = sum(map(metrics.blown_up, found)) / len(found)
        colour = "white" if shares[i, j] > 0.7 else "black"
        axis.annotate(cell_text(found), (j, i), color=colour, ha="center", va="center", fontsize=9)
    axis.imshow(shares, cmap="OrRd", vmin=0, vmax=1.15, aspect="auto")
    axis.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates])
    axis.set_yticks(range(len(arms)), list(arms))
    for line in (0.5, 1.5, 1.5 + (len(arms) - 2) / 2):
        axis.axhline(line, color="black", linewidth=1.2 if line < 2 else 0.6)
    axis.tick_params(length=0)
    axis.set_xlabel("learning rate")


def cell_text(rows: Sequence[Row]) -> str:
    """How many of the seeds blew up; where none did, their median last loss."""
    if blown := sum(map(metrics.blown_up, rows)):
        return f"✗ {blown} of {len(rows)}"
    return f"{upper_median([row['loss'] for row in rows]):.2g}"


def curves_figure(evidence: Evidence) -> Figure:
    """With the statistics held constant in the gradient step the loss blows up (a) while biases (b)
    and weights (c) grow on; BN's loss falls, its biases stay at zero and its weights hardly grow.

    The first network of the map, the statistics of each mini-batch, at the lowest rate at which
    centring and scaling outside the gradient step blow up in every seed and BN in none. Every line
    is a seed; a line that ends has diverged. BN's biases are zero to rounding.
    """
    activation = unique(evidence.training, "activation")[0]
    lr = metrics.shown_rate(evidence, activation)
    rows = evidence.where("training", activation=activation, lr=lr, every=1)
    figure, (axes,) = panels(1, len(CURVES), (10.5, 3.8))
    for axis, (column, (name, limits)) in zip(axes, CURVES.items(), strict=True):
        arm_lines(axis, rows, column, TRAINED_ARMS)
        axis.set(ylim=limits, ylabel=name, xlabel="training step")
    axes[0].set_yscale("log")
    plain_numbers(axes[0].yaxis)
    axes[0].axhline(metrics.LIMIT, color="black", linewidth=0.8, label="twice the loss of guessing")
    loss = f"loss, {nonlinearity(activation)} network, rate {lr:g}"
    name_panels(axes, (loss, "biases grow on …", "… and so do weights"))
    legend_below(figure, axes, 3, fontsize=9)
    return figure


FIGURES = {"blow-up": blow_up_figure, "bias": exact_figure, "curves": curves_figure}


def tables(evidence: Evidence) -> list[Table]:
    """The exact part, where training blew up, also with scaling, and the last hidden layer."""
    makers = (exact_table, training_table, control_table, growth_table)
    return [make(evidence) for make in makers]


def exact_table(evidence: Evidence) -> Table:
    """A row an arm of the exact part, extremes over seeds and steps."""
    deviations = {
        "step_deviation": "largest deviation of Δb",
        "output_deviation": "of x̂",
        "loss_deviation": "of the loss",
    }
    header = ["exact, float64", "RMS of b at the end", *deviations.values()]
    table = [[*header, "last Σ ∂ℓ/∂x̂ / first"]]
    arms = grouped(evidence.exact, "transform", "gradient", "above")
    for (transform, gradient, above), rows in arms.items():
        kind = "centring and scaling" if transform == "scale" else "centring"
        where = "gradient through" if gradient == "through" else "outside"
        label = f"{kind}, {where}" + (", layer above trained too" if above else "")
        worst = (largest(row[column] for row in rows) for column in deviations)
        seeds = grouped(rows, "seed").values()
        ends, drives = ([each[-1][column] for each in seeds] for column in ("bias", "drive"))
        ratios = combine(truediv, drives, [each[0]["drive"] for each in seeds])
        cells = [span(ends), *(number_text(value, ".2g") for value in worst), span(ratios)]
        table.append([label, *cells])
    return table


def span(values: Sequence[float | None]) -> str:
    """The range over seeds."""
    if len(known(values)) < len(values):
        return "not finite"
    low, high = (number_text(f(known(values))) for f in (min, max))
    return low if low == high else f"{low} to {high}"


def by_arm(evidence: Evidence, activation: str) -> dict[str, list[Row]]:
    """The last rows of one network by their arm in words."""
    rows = metrics.last_rows(evidence, activation=activation)
    arms: dict[str, list[Row]] = {}
    through = {"scale": "BN (γ = 1, β = 0)", "centre": "centring, through the mean"}
    for (kind, gradient, every), each in grouped(rows, "transform", "gradient", "every").items():
        steps = "each step" if every == 1 else f"every {every} steps"
        outside = f"centring{', scaling' * (kind == 'scale')} outside, {steps}"
        arms[through[kind] if gradient == "through" else outside] = each
    return arms


def training_table(evidence: Evidence) -> Table:
    """Seeds that blew up, for each network, arm and learning rate."""
    rates = sorted(unique(evidence.training, "lr"))
    table = [["seeds that blew up", *(f"rate {lr:g}" for lr in rates)]]
    for activation in unique(evidence.training, "activation"):
        for label, rows in by_arm(evidence, activation).items():
            counts = (count([row for row in rows if row["lr"] == lr]) for lr in rates)
            table.append([f"{nonlinearity(activation)} network: {label}", *counts])
    return table


CONTROLS = {  # transforms that stay bounded, with the gradient through them, where one is counted
    "BN is bounded": (("scale",), ("scale",)),
    "BN and centring through the mean are bounded": (metrics.TRANSFORMS, metrics.TRANSFORMS),
    "it is bounded with the gradient through its statistics": (("centre",), ("scale",)),
}


def control_table(evidence: Evidence) -> Table:
    """Does scaling make it worse? Three ways to count, all rates, refreshes and seeds."""
    table = [["outside the step, blown up where …", "centring", "centring and scaling"]]
    for label, inside in CONTROLS.items():
        kinds = zip(("centre", "scale"), inside, strict=True)
        found = (metrics.bounded(evidence, i, gradient="outside", transform=t) for t, i in kinds)
        table.append([label, *map(count, found)])
    return table


def growth_table(evidence: Evidence) -> Table:
    """What became of the last hidden layer, at the rate that the curves show; medians over seeds.

    A number that is not finite counts as the largest.
    """
    columns = {"loss": "training loss", "bias": "RMS of b", "weight": "‖W‖", "std": "σ of Wu + b"}
    table = [["at the end, median seed", *columns.values()]]
    for activation in unique(evidence.training, "activation"):
        lr = metrics.shown_rate(evidence, activation)
        for label, rows in by_arm(evidence, activation).items():
            medians = [upper_median([r[c] for r in rows if r["lr"] == lr]) for c in columns]
            name = f"{nonlinearity(activation)} network, rate {lr:g}: {label}"
            table.append([name, *map(number_text, medians)])
    return table


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    outside = metrics.exact(evidence, transform="centre", gradient="outside")
    ends = [rows[-1] for rows in grouped(outside, "seed").values()]
    bn = metrics.last_rows(evidence, gradient="through", transform="scale")
    centre = metrics.bounded(evidence, transform="centre", gradient="outside")
    through = metrics.bounded(evidence, transform="centre", gradient="through")
    scale = metrics.bounded(evidence, transform="scale", gradient="outside")
    grown = span([row["bias"] for row in ends])
    change = number_text(largest(metrics.output_deviation(evidence, {})), ".0e")
    return (
        f"With b alone trained its RMS reaches {grown} in {ends[0]['step']:,} equal steps while "
        f"output and loss stay to {change}. Trained in full, BN blows up in {count(bn)} runs; at "
        f"the settings of the others, centring outside the gradient step blows up in "
        f"{count(centre)} (inside it, through the mean, in {count(through)}), centring and scaling "
        f"in {count(scale)}."
    )


def count(rows: Sequence[Row]) -> str:
    """How many networks blew up, by their last rows."""
    return f"{sum(map(metrics.blown_up, rows))} of {len(rows)}"
