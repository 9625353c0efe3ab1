"""Figures and tables of Section 3.3's conjecture: singular values and what the argument assumes."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import known, largest, mean, mean_text, number_text, t_interval
from bnrepro.experiment import Table
from bnrepro.plots.curves import lines, mark_diverged, seed_lines
from bnrepro.plots.panels import legend_below, panels, steps_from_0
from bnrepro.plots.style import arm, nonlinearity
from experiments.jacobian import metrics

MARKERS = {"random": "x", "baseline": "s", "bn": "o"}
FLOOR = 1e-3  # singular values below are drawn here: those of a rank-deficient Jacobian are 0
SHARE = "singular values within [½, 2], %"
PREMISES = {
    "correlation": "mean |correlation| of two units' x",
    "kurtosis": "mean |excess kurtosis| of x",
    "nonlinearity": "‖J − mean J‖ / ‖mean J‖",
}


def shown_width(evidence: Evidence) -> int:
    """4.1's width if it was measured, else the largest."""
    widths: list[int] = unique(evidence.network, "width")
    return 100 if 100 in widths else max(widths)


def values_figure(evidence: Evidence) -> Figure:
    """A row an activation: the spectrum before and after training, its share over steps, widths."""
    activations = unique(evidence.network, "activation")
    width, steps = shown_width(evidence), metrics.measured_steps(evidence)
    figure, grid = panels(len(activations), 4, (15.5, 3.7 * len(activations)))
    for axes, activation in zip(grid, activations, strict=True):
        name = nonlinearity(activation)
        for axis, step in zip(axes[:2], (steps[0], steps[-1]), strict=True):
            spectrum_panel(axis, evidence, activation=activation, width=width, step=step)
            axis.set_title(f"{name}, width {width}, {moment(step)}")
        share_panel(axes[2], evidence, activation=activation, width=width)
        axes[2].set_title(f"{name}, width {width}: over training")
        width_panel(axes[3], evidence, activation=activation, step=steps[-1])
        axes[3].set_title(f"{name}, {moment(steps[-1])}: by width")
    legend_below(figure, grid.flat)
    return figure


def moment(step: int) -> str:
    """The step in words."""
    return "as initialised" if step == 0 else f"after {step:,} steps"


def spectrum_panel(axis: Axes, evidence: Evidence, **cell: Any) -> None:
    """Quantiles of the singular values, a line a seed; the band is what counts as close to 1."""
    axis.axhspan(*metrics.NEAR, color="#e3e8d4", zorder=0, label="close to 1: within [½, 2]")
    axis.axhline(1, color="black", linewidth=0.7)
    for name in MARKERS:
        seeds = grouped(metrics.arm_rows(evidence, name, **cell), "seed").values()
        values = [[mean(row[f"q{q}"] for row in rows) for q in metrics.QUANTILES] for rows in seeds]
        heights = [[v if v is None else max(v, FLOOR) for v in each] for each in values]
        lines(axis, [(metrics.QUANTILES, each) for each in heights], arm(name), linewidth=1.3)
    axis.set(yscale="log", ylim=(FLOOR, 20))
    axis.set(xlabel="singular values up to this rank, %", ylabel="singular value of J")


def share_panel(axis: Axes, evidence: Evidence, **cell: Any) -> None:
    """The share within [½, 2] over training; level lines are random matrices."""
    step_panel(axis, evidence, "share", 100, **cell)
    random_levels(axis, evidence, "share", cell["width"], 100)
    axis.set(ylabel=SHARE, ylim=(0, 100))


def random_levels(
    axis: Axes, evidence: Evidence, column: str, width: int, factor: float = 1
) -> None:
    """A level line a seed: what random matrices have."""
    label, colour, dash = arm("random")
    for level in known(metrics.layer_means(evidence, column, arm="random", width=width)):
        axis.axhline(factor * level, color=colour, linestyle=dash, linewidth=1.3, label=label)


def step_panel(axis: Axes, evidence: Evidence, column: str, factor: float = 1, **cell: Any) -> None:
    """A column over training, a line a seed, on an axis that has room for step 0."""
    for name in ("baseline", "bn"):
        networks = grouped(metrics.arm_rows(evidence, name, **cell), "seed", "step").items()
        rows = [
            {"seed": seed, "step": step, column: mean(row[column] for row in layers)}
            for (seed, step), layers in networks
        ]
        cross = column != "condition"  # which a finite network may lack
        seed_lines(axis, rows, column, arm(name), factor, cross, marker=".")
    steps_from_0(axis, metrics.measured_steps(evidence), ",", linscale=0.5)
    axis.set_xlabel("training step")


def width_panel(axis: Axes, evidence: Evidence, **cell: Any) -> None:
    """The share within [½, 2] at one step against the width, a point a seed."""
    widths = sorted(unique(evidence.network, "width"))
    for offset, (name, marker) in enumerate(MARKERS.items(), start=-1):
        look = arm(name)
        for place, width in enumerate(widths):
            values = metrics.layer_means(evidence, "share", arm=name, width=width, **cell)
            heights, x = [100 * v for v in known(values)], place + 0.2 * offset
            style: dict[str, Any] = {"fillstyle": "none", "markersize": 6}
            axis.plot([x] * len(heights), heights, marker, color=look.colour, **style)
            lost = [x] if None in values else []
            mark_diverged(axis, lost, look.colour, f"{look.label}: diverged")
    axis.set_xticks(range(len(widths)), [str(w) for w in widths])
    axis.set(xlim=(-0.5, len(widths) - 0.5), ylim=(0, 100), xlabel="units a layer", ylabel=SHARE)


def premises_figure(evidence: Evidence) -> Figure:
    """What the argument assumes, over training: uncorrelated, Gaussian, linear; and J's condition.

    Where J has no full rank, as with ReLU for every example, its mean over the probe is shown.
    """
    activations = unique(evidence.network, "activation")
    figure, grid = panels(len(activations), len(PREMISES) + 1, (15.5, 3.5 * len(activations)))
    for axes, activation in zip(grid, activations, strict=True):
        cell = {"activation": activation, "width": shown_width(evidence)}
        for axis, (column, name) in zip(axes, PREMISES.items(), strict=False):
            step_panel(axis, evidence, column, **cell)
            axis.set_ylabel(name)
            axis.set_ylim(bottom=0)
        axes[0].set_title(f"{nonlinearity(activation)}, width {cell['width']}", loc="left")
        condition_panel(axes[-1], evidence, **cell)
    legend_below(figure, grid[:, ::-1].flat, 3)
    title = "The argument assumes 0 in the first three columns; it concludes 0 in the last"
    figure.suptitle(title)
    return figure


def condition_panel(axis: Axes, evidence: Evidence, **cell: Any) -> None:
    """The condition number over training; level lines are random matrices."""
    rows = evidence.where("network", matrix="example", **cell)
    singular = all(row["condition"] is None for row in rows)
    random_levels(axis, evidence, "condition", cell["width"])
    matrix = "mean" if singular else "example"
    step_panel(axis, evidence, "condition", matrix=matrix, **cell)
    axis.set_ylabel("log₁₀ condition number of " + ("mean J" if singular else "J"))
    axis.set_ylim(bottom=0)
    if singular:
        axis.set_title("each J alone is singular; gaps: so is the mean", fontsize=9)


FIGURES = {"singular-values": values_figure, "premises": premises_figure}

COLUMNS: dict[
    str, tuple[Any, ...]
] = {  # of the rows, digits, a factor, and what is shown where a finite network has none
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
    steps, rows = (
        metrics.measured_steps(evidence),
        [["network", "step", *COLUMNS, "share, mean J, %"]],
    )
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
    evidence: Evidence,
    column: str,
    digits: int,
    factor: float,
    lost: str | None = None,
    **cell: Any,
) -> str:
    """Mean and 95 % interval over seeds of a column, in words of a table."""
    return mean_text(
        metrics.layer_means(evidence, column, **cell), digits, factor, lost=lost or None
    )


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
    width, step = shown_width(evidence), metrics.measured_steps(evidence)[-1]
    activations = unique(evidence.network, "activation")
    activation = "sigmoid" if "sigmoid" in activations else activations[0]
    cell = {"activation": activation, "width": width, "step": step}
    shares = {
        name: mean_text(metrics.layer_means(evidence, "share", arm=name, **cell), 1, 100, " %",
                        lost="an unknown share (diverged)")
        for name in MARKERS
    }  # fmt: skip
    claim = {**cell, "at": "last", "arm": "bn"}
    words = [
        compared(metrics.share_gain(evidence, claim | {"against": a}))
        for a in ("baseline", "random")
    ]
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
