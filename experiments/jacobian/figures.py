"""Figures and tables of Section 3.3's conjecture: singular values and what the argument assumes."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import known, largest, mean, mean_text, number_text, t_interval
from bnrepro.experiment import Table
from bnrepro.plots.bands import band
from bnrepro.plots.curves import lines, seed_lines
from bnrepro.plots.panels import legend_below, name_panels, panels, steps_from_0
from bnrepro.plots.style import arm, nonlinearity
from experiments.jacobian import metrics
from experiments.jacobian.metrics import measured_steps

NETWORKS = ("random", "baseline", "bn")
FLOOR = 1e-3  # singular values below are drawn here: those of a rank-deficient Jacobian are 0
SHARE = "singular values within [½, 2], %"
PREMISES = {  # of the argument: what would be 0, and how it is measured
    "correlation": ("uncorrelated?", "mean |correlation| of two units"),
    "kurtosis": ("Gaussian?", "mean |excess kurtosis|"),
    "nonlinearity": ("linear?", "‖J − mean J‖ / ‖mean J‖"),
}
PALE = {"baseline": "#e8a33d", "bn": "#4d9de0"}  # the colours with ReLU


def shown_width(evidence: Evidence) -> int:
    """4.1's width if it was measured, else the largest."""
    widths: list[int] = unique(evidence.network, "width")
    return 100 if 100 in widths else max(widths)


def values_figure(evidence: Evidence) -> Figure:
    """Training a sigmoid network moves the singular values of its layers' Jacobians away from 1,
    in the end with BN less than without (a, b); with BN too they end farther from 1 than those of a
    random Gaussian matrix of the same size. With ReLU the two networks hardly differ (c).

    Every line is a seed, a mean over images and layers. (a) has the singular values at the end from
    the smallest to the largest, (b) and (c) the share of them that is close to 1, our reading being
    within ½ and 2.
    """
    activations = unique(evidence.network, "activation")
    width, last = shown_width(evidence), measured_steps(evidence)[-1]
    figure, (axes,) = panels(1, 1 + len(activations), (3.5 * (1 + len(activations)), 3.9))
    spectrum_panel(axes[0], evidence, activation=activations[0], width=width, step=last)
    for axis, activation in zip(axes[1:], activations, strict=True):
        share_panel(axis, evidence, activation=activation, width=width)
    names = [nonlinearity(activation) for activation in activations]
    titles = [f"{names[0]}, width {width}, {moment(last)}"]
    name_panels(axes, titles + [f"{name}, width {width}" for name in names])
    legend_below(figure, axes)
    return figure


def moment(step: int) -> str:
    """The step in words."""
    return "as initialised" if step == 0 else f"after {step:,} steps"


def spectrum_panel(axis: Axes, evidence: Evidence, **cell: Any) -> None:
    """Quantiles of the singular values, a line a seed; the band is what counts as close to 1."""
    axis.axhspan(*metrics.NEAR, color="#e3e8d4", zorder=0, label="close to 1: within [½, 2]")
    axis.axhline(1, color="black", linewidth=0.7)
    for name in NETWORKS:
        seeds = grouped(metrics.arm_rows(evidence, name, **cell), "seed").values()
        values = [[mean(row[f"q{q}"] for row in rows) for q in metrics.QUANTILES] for rows in seeds]
        heights = [[v if v is None else max(v, FLOOR) for v in each] for each in values]
        lines(axis, [(metrics.QUANTILES, each) for each in heights], arm(name), linewidth=1.3)
    axis.set(yscale="log", ylim=(FLOOR, 20))
    axis.set(xlabel="singular values up to this rank, %", ylabel="singular value of J")


def share_panel(axis: Axes, evidence: Evidence, activation: str, width: int) -> None:
    """The share within [½, 2] over training, a line a seed; level lines are random matrices."""
    for name in ("baseline", "bn"):
        found = metrics.arm_rows(evidence, name, width, activation=activation)
        rows = [
            {"seed": seed, "step": step, "share": mean(row["share"] for row in layers)}
            for (seed, step), layers in grouped(found, "seed", "step").items()
        ]
        seed_lines(axis, rows, "share", arm(name), 100, marker=".")
    steps_from_0(axis, measured_steps(evidence), ",", linscale=0.5)
    label, colour, dash = arm("random")
    for level in known(metrics.layer_means(evidence, "share", arm="random", width=width)):
        axis.axhline(100 * level, color=colour, linestyle=dash, linewidth=1.3, label=label)
    axis.set(xlabel="training step", ylabel=SHARE, ylim=(0, 100))


def premises_figure(evidence: Evidence) -> Figure:
    """The argument for singular values near 1 assumes that a layer's inputs are uncorrelated (a)
    and Gaussian (b) and that the layer is linear (c), each of which would put its curves at 0; none
    is at 0, and training moves most of them away from it, with BN as without.

    Every line is a mean over seeds and layers, every point a seed.
    """
    figure, (axes,) = panels(1, len(PREMISES), (10.5, 3.9))
    width = shown_width(evidence)
    for axis, column in zip(axes, PREMISES, strict=True):
        for activation in unique(evidence.network, "activation"):
            premise_lines(axis, evidence, column, activation, width)
        steps_from_0(axis, measured_steps(evidence), ",", linscale=0.5)
        axis.set(xlabel="training step", ylabel=PREMISES[column][1], ylim=(0, None))
    name_panels(axes, (title for title, _ in PREMISES.values()))
    legend_below(figure, axes)
    return figure


def premise_lines(axis: Axes, evidence: Evidence, column: str, activation: str, width: int) -> None:
    """Both arms with one activation: the means as lines, every seed a point."""
    steps = measured_steps(evidence)
    for name in ("baseline", "bn"):
        cell = {"arm": name, "activation": activation, "width": width}
        each = [metrics.layer_means(evidence, column, step=step, **cell) for step in steps]
        look = arm(name)._replace(label=f"{nonlinearity(activation)}, {arm(name).label}")
        pale = activation == "relu"
        look = look._replace(colour=PALE[name]) if pale else look
        band(axis, steps, each, look, "^" if pale else "o", interval=False)


FIGURES = {"singular-values": values_figure, "premises": premises_figure}

# of the rows, digits, a factor, and what is shown where a finite network has none
COLUMNS: dict[str, tuple[Any, ...]] = {
    "share within [½, 2], %": ("share", 1, 100),
    "below ½, %": ("below", 1, 100),
    "above 2, %": ("above", 1, 100),
    "log₁₀ condition": ("condition", 2, 1, "–"),  # without bound
    "|correlation| of x": ("correlation", 3, 1, "–"),
}
RANDOM = (
    "width",
    "random matrix: share within [½, 2], %",
    "random matrix: log₁₀ condition",
    "both sides whitened: |J Jᵀ − I|",
    "unit variance alone: |diag(J Jᵀ) − 1|",
    "unit variance alone: |J Jᵀ − I|",
    "unit variance alone: share, %",
)


def tables(evidence: Evidence) -> list[Table]:
    """The networks, and what they are compared with."""
    return [network_table(evidence), random_table(evidence)]


def network_table(evidence: Evidence) -> Table:
    """A row a network, before and after training: mean and 95 % interval over seeds."""
    rows, steps = [["network", "step", *COLUMNS, "share, mean J, %"]], measured_steps(evidence)
    activations, widths = (unique(evidence.network, key) for key in ("activation", "width"))
    ends = sorted({steps[0], steps[-1]})
    for activation, width, step, name in product(activations, widths, ends, ("baseline", "bn")):
        cell = {"activation": activation, "width": width, "arm": name, "step": step}
        values = [interval(evidence, *spec, **cell) for spec in COLUMNS.values()]
        values.append(interval(evidence, "share", 1, 100, matrix="mean", **cell))
        label = f"{nonlinearity(activation)}, width {width}, {arm(name).label}"
        rows.append([label, f"{step:,}", *values])
    return rows


def interval(
    evidence: Evidence, column: str, digits: int, factor: float, lost: str | None = None,
    **cell: Any,
) -> str:  # fmt: skip
    """Mean and 95 % interval over seeds of a column, in words of a table."""
    return mean_text(metrics.layer_means(evidence, column, **cell), digits, factor, lost=lost)


def random_table(evidence: Evidence) -> Table:
    """What to compare with: random matrices, and the paper's argument in exact arithmetic."""
    rows = [[*RANDOM]]
    for width, exact in grouped(evidence.exact, "width").items():
        share = interval(evidence, "share", 1, 100, arm="random", width=width)
        condition = interval(evidence, "condition", 2, 1, "–", arm="random", width=width)
        keys = ("identity_error", "bn_diagonal_error", "bn_identity_error")
        worst = [number_text(largest(row[key] for row in exact), ".1g") for key in keys]
        scaled = mean_text([row["bn_share"] for row in exact], 1, 100)
        rows.append([str(width), share, condition, *worst, scaled])
    return rows


def answer(evidence: Evidence) -> str:
    """The answer in one line."""
    width, step = shown_width(evidence), measured_steps(evidence)[-1]
    activations = unique(evidence.network, "activation")
    activation = "sigmoid" if "sigmoid" in activations else activations[0]
    cell = {"activation": activation, "width": width, "step": step}
    each = {name: metrics.layer_means(evidence, "share", arm=name, **cell) for name in NETWORKS}
    lost = "an unknown share (diverged)"
    shares = {name: mean_text(values, 1, 100, " %", lost=lost) for name, values in each.items()}
    claim = {**cell, "at": "last", "arm": "bn"}
    gains = (metrics.share_gain(evidence, claim | {"against": a}) for a in ("baseline", "random"))
    words = [compared(each) for each in gains]
    return (
        f"After {step:,} steps ({nonlinearity(activation)}, width {width}) {shares['bn']} of the "
        f"singular values lie within [½, 2] with BN, {words[0]} without ({shares['baseline']}) and "
        f"{words[1]} in a random Gaussian matrix ({shares['random']})."
    )


def compared(gains: Sequence[float | None]) -> str:
    """What the interval of paired differences says."""
    there = known(gains)
    if len(there) < max(len(gains), 2):
        return "not comparable with those"
    low, high = t_interval(there).bounds()
    return "more than" if low > 0 else "fewer than" if high < 0 else "not clearly other than"
