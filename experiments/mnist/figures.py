"""Figure 1 of the paper, once more with the paper's axes, and how far all units drift."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.drift import FROM_STEP, TYPICAL_RANK
from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import exponential, known, mean, t_interval
from bnrepro.evidence.tables import Row
from bnrepro.plots.curves import mean_and_interval, percentile_lines, step_axis, thousands
from bnrepro.plots.panels import legend_below, legend_in, panels, ticks_at, ticks_within
from bnrepro.plots.style import arm, label, on_data
from experiments.mnist.tables import answer, drift_ratios, input_name, tables, unit_arms

__all__ = ["FIGURES", "answer", "tables"]

PAPER_ACCURACY = (0.7, 1.0)  # the axis of Figure 1(a)
PAPER_INPUT = 2.0  # the axis of Figure 1(b, c) ends here on both sides
HIGHEST_ERROR = 20.0  # per cent: above it the axis of errors ends
ERRORS = (0.5, 1, 2, 3, 5, 10, 20, 50, 100)
STEPS = (100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
FEW_STEPS = (10, 100, 1000, 10000, 50000)  # for narrow panels
KINDS = {"relative": ("o", "centre"), "spread": ("s", "width")}  # of drift: marker and name


def figure_1(evidence: Evidence) -> Figure:
    """(a) Test error over training: with BN it falls earlier to about 10 %, is about the same from
    step 1,000 to 10,000 and ends lower. (b, c) The inputs of a typical sigmoid of the last hidden
    layer, without and with BN: with BN their centre moves less in units of their spread, while the
    spread itself goes on growing."""
    figure = three_panels(evidence)
    error, *units = figure.axes
    error_panel(error, evidence)
    for axis, variant in zip(units, unit_arms(evidence), strict=False):
        log_steps(axis, FEW_STEPS)
        axis.set_ylim(bottom=1.3 * axis.get_ylim()[0])  # room for what is said there
        axis.text(0.03, 0.03, drift_text(evidence, variant), transform=axis.transAxes, fontsize=8)
    return figure


def paper_axes(evidence: Evidence) -> Figure:
    """Figure 1 on the paper's own axes, where the test accuracies of tuned networks coincide; the
    dotted lines are the ends of the paper's axis of (b, c)."""
    figure = three_panels(evidence)
    accuracy, *units = figure.axes
    accuracy_panel(accuracy, evidence)
    for axis in units:
        step_axis(axis)
        for limit in (-PAPER_INPUT, PAPER_INPUT):
            axis.axhline(limit, color="#888888", linewidth=0.8, linestyle=(0, (2, 4)))
    return figure


def three_panels(evidence: Evidence) -> Figure:
    """A panel for (a), and the typical unit of two arms in (b, c), on one axis of inputs."""
    shown = unit_arms(evidence)
    figure, (axes,) = panels(1, 1 + len(shown), (11, 4.2), width_ratios=(1.4, *[1] * len(shown)))
    for axis, letter, variant in zip(axes[1:], "bc", shown, strict=False):
        percentile_lines(axis, last_layer(evidence, variant, rank=TYPICAL_RANK), variant)
        axis.set(title=f"({letter}) {label(evidence, variant)}", xlabel="training step")
    axes[1].set_ylabel(input_name(evidence))
    share_input_axis(axes[1:])
    legend_in(axes[-1], loc="upper left", fontsize=8)
    return figure


def error_panel(axis: Axes, evidence: Evidence) -> None:
    """Test error of every arm over steps, on logarithmic axes."""
    means = [
        mean_and_interval(axis, evidence, variant, False, lambda right: 100 * (1 - right))[1]
        for variant in evidence.variants
    ]
    lowest = min([min(each) for each in means if each] + [HIGHEST_ERROR / 2])
    axis.set_yscale("log")
    axis.set_ylim(0.85 * lowest, max(HIGHEST_ERROR, 2 * lowest))
    ticks_within(axis.yaxis, ERRORS)
    log_steps(axis)
    axis.set(xlabel="training step", ylabel="test error, %")
    finish_accuracy(axis, evidence, "lower left")


def accuracy_panel(axis: Axes, evidence: Evidence) -> None:
    """Test accuracy of every arm over steps, on the paper's axis."""
    for variant in evidence.variants:
        mean_and_interval(axis, evidence, variant, interval=False)
    step_axis(axis)
    lowest = min(known(run["best_test_accuracy"] for run in evidence.runs), default=1)
    axis.set(xlabel="training step", ylabel="test accuracy")
    axis.set_ylim(min(PAPER_ACCURACY[0], lowest - 0.05), PAPER_ACCURACY[1])
    finish_accuracy(axis, evidence, "lower right")


def finish_accuracy(axis: Axes, evidence: Evidence, place: Any) -> None:
    """The title of (a) and its legend."""
    seeds = max(len(evidence.seeds(v)) for v in evidence.variants)
    axis.set_title(f"(a) {on_data(f'mean of {seeds} seeds; each seed faint', evidence.data)}")
    axis.legend(loc=place, fontsize=8, handlelength=2.6)


def log_steps(axis: Axes, ticks: Sequence[int] = STEPS) -> None:
    """Training steps on a logarithmic axis, as far as they are shown."""
    low, high = axis.dataLim.minposx, axis.dataLim.x1
    if not np.isfinite([low, high]).all():
        return  # nothing is drawn
    axis.set_xscale("log")
    axis.set_xlim(low, 1.05 * high)
    ticks_within(axis.xaxis, ticks)
    axis.xaxis.set_major_formatter(thousands())


def drift_text(evidence: Evidence, variant: str) -> str:
    """How far the centre of a unit's inputs moves, of all units of the last hidden layer."""
    layers, runs = unique(evidence.units, "layer"), evidence.where("runs", variant=variant)
    column = f"drift_relative_training_{layers[-1]}" if layers else ""
    moved = mean(run.get(column) for run in runs)
    if moved is None:
        return ""
    logs = drift_ratios(evidence, "relative").get(layers[-1]) if variant == "bn" else None
    ratio = f",\n{geometric_mean(logs):.2f} times as much as without BN" if logs else ""
    return (
        f"all units, from step {FROM_STEP:,} on: the centre\n"
        f"moves by {100 * moved:.1f} % of the spread{ratio}"
    )


def geometric_mean(logs: Sequence[float]) -> float:
    """Of ratios, from their logarithms."""
    return exponential(t_interval(logs)).mean


def last_layer(evidence: Evidence, variant: str, **key: int) -> list[Row]:
    """The rows of an arm's shown units of the last hidden layer, in training mode."""
    rows = evidence.where("units", variant=variant, mode="training", **key)
    return [row for row in rows if row["layer"] == rows[-1]["layer"]]


def share_input_axis(axes: Sequence[Axes]) -> None:
    """The paper's −2 to 2 for all panels, or more where a curve leaves it."""
    values = [np.asarray(line.get_ydata(), float) for axis in axes for line in axis.get_lines()]
    reach = max((float(np.abs(v).max()) for v in values if len(v)), default=0)
    limit = 1.05 * reach if reach > PAPER_INPUT else PAPER_INPUT
    for axis in axes:
        axis.set_ylim(-limit, limit)


def units(evidence: Evidence) -> Figure:
    """Units of the last hidden layer, a line each: with BN their centres stay closer to where they
    are on average (left), while their widths change as much as without BN (middle). All units of
    every layer (right): below 1 they drift less with BN; in the layers that the paper does not
    show, widths drift more with BN."""
    figure, ((centres, widths, ratios),) = panels(1, 3, (11, 4))
    for variant in unit_arms(evidence):
        rows = last_layer(evidence, variant)
        for each in grouped(rows, "rank").values():
            steps, centre, width = motion(each)
            style = {"color": arm(variant).colour, "linewidth": 0.8, "alpha": 0.8}
            style["label"] = label(evidence, variant)
            centres.plot(steps, centre, **style)
            widths.plot(steps, width, **style)
    for axis in (centres, widths):
        log_steps(axis)
        axis.set_xlabel("training step")
    centres.set(title=on_data("centres", evidence.data), ylabel="(median − its mean) / mean spread")
    widths.set(title="widths", ylabel="spread / its mean", yscale="log")
    ticks_within(widths.yaxis, (0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.2, 1.5, 2, 3))
    ratio_panel(ratios, evidence)
    legend_below(figure, [centres])
    return figure


def motion(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, and one unit's centre and spread beside their own means, as its drift takes them."""
    late = [row for row in rows if row["step"] >= FROM_STEP] or rows
    low, middle, high = (np.array([r[name] for r in late]) for name in ("p15", "p50", "p85"))
    spread = np.maximum(high - low, 1e-6)
    centre = (middle - middle.mean()) / spread.mean()
    return np.array([r["step"] for r in late]), centre, spread / np.exp(np.log(spread).mean())


def ratio_panel(axis: Axes, evidence: Evidence) -> None:
    """Drift with BN over drift without, by layer: every seed, and the mean in numbers."""
    last = max(1, len(drift_ratios(evidence, "spread")))
    for shift, (kind, (marker, name)) in zip((-0.15, 0.15), KINDS.items(), strict=True):
        for layer, logs in drift_ratios(evidence, kind).items():
            number = int(layer.removeprefix("hidden"))
            place, ratios = number + shift, np.exp(logs)
            axis.plot([place] * len(ratios), ratios, marker, color="#444444", ms=4, label=name,
                      fillstyle="none" if kind == "spread" else "full")  # fmt: skip
            middle = geometric_mean(logs)
            axis.annotate(f"{middle:.2f}", (place + 0.07, middle), fontsize=9, va="center")
    axis.axhline(1, color="#444444", linewidth=0.8, zorder=1)
    axis.set_yscale("log")
    ticks_within(axis.yaxis, (0.3, 0.5, 0.7, 1, 1.5, 2, 3))
    axis.set_xlim(0.6, last + 0.5)
    ticks_at(axis.xaxis, range(1, last + 1))
    axis.set(xlabel="hidden layer", ylabel="times the drift without BN")
    axis.set_title("all units, with BN : without")
    legend_in(axis, fontsize=8, loc="upper left")


FIGURES = {"figure-1": figure_1, "figure-1-paper-axes": paper_axes, "units": units}
