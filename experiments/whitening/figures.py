"""Section 2: full whitening against BN, centring, and nothing; small mini-batches; cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import mean_text, upper_median
from bnrepro.evidence.sweeps import last
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import mark_diverged
from bnrepro.plots.panels import legend_below, name_panels, panels, ticks_at, ticks_within
from bnrepro.plots.style import Arm, arm
from experiments.whitening import metrics

ARMS = {
    "baseline": arm("baseline")._replace(label="no normalisation"),
    "centre": arm("centre"),  # a normalisation without BN too
    "bn": arm("bn")._replace(label="BN"),
    "whiten": arm("whiten"),
}
MARKERS = {"baseline": "s", "centre": "^", "bn": "o", "whiten": "D"}
SHARES = (0.9, 0.95, 1.0)  # of the target
PASSES = ("forward", "backward")


def errors(rows: Sequence[Row]) -> np.ndarray:
    """Error in per cent, not a number where the network diverged."""
    return 100 * (1 - np.array([row["accuracy"] for row in rows], float))


def convergence_figure(evidence: Evidence) -> Figure:
    """Full whitening and BN are both far ahead of no normalisation at first; per step whitening
    gains nothing over BN (a), and per second it falls behind (b), each at the learning rate that
    was best for it on held-out images (c).

    Thin lines are seeds, thick ones their means; (c) is the tuning, on one other seed.
    """
    figure, (axes,) = panels(1, 3, (10.5, 4))
    rows = grouped(metrics.main_rows(evidence, "training"), "arm")
    for name in rows:
        look = ARMS[name]._replace(label=f"{ARMS[name].label} (rate {rows[name][0]['lr']:g})")
        error_panel(axes[0], rows[name], 1, look)
        error_panel(axes[1], rows[name], metrics.step_seconds(evidence, name), look)
        tuning = metrics.main_rows(evidence, "tuning", arm=name)
        rates = [row["lr"] for row in tuning]
        axes[2].plot(rates, errors(tuning), marker=MARKERS[name], **look.line)
    batch, (other, *_) = metrics.main_batch(evidence), unique(evidence.tuning, "seed")
    seed = "one other seed" if other not in metrics.seeds(evidence) else f"seed {other}"
    titles = (f"per step of {batch} examples", "per second, one network", f"tuning: {seed}")
    name_panels(axes, titles)
    labels = ("training step", "seconds of training", "learning rate")
    for axis, name in zip(axes, labels, strict=True):
        axis.set(xscale="log", yscale="log", xlabel=name, ylabel="test error, %")
        axis.xaxis.minorticks_off()
        ticks_at(axis.yaxis, (5, 10, 20, 50, 100))
    axes[2].set_ylabel("held-out error at the last step, %")
    legend_below(figure, axes, 2)
    return figure


def error_panel(axis: Axes, rows: Sequence[Row], unit: float, look: Arm) -> None:
    """Draw a thin line a seed, the mean of all thick; there is none where a seed diverged."""
    times = [unit * step for step in unique(rows, "step")]
    curves = [errors(each) for each in grouped(rows, "seed").values()]
    for each in curves:
        axis.plot(times, each, linewidth=0.6, alpha=0.7, **look.line)
    axis.plot(times, np.mean(curves, axis=0), linewidth=2.2, label=look.label, **look.line)
    at = zip(times, np.transpose(curves), strict=True)
    lost = [time for time, values in at if np.isnan(values).any()]
    mark_diverged(axis, lost[:1], look.colour, f"{look.label}: diverged")


def small_batch_figure(evidence: Evidence) -> Figure:
    """At every size of mini-batch BN ends with a lower test error than full whitening; where there
    are fewer examples than units (a), whitening depends most on the ridge, the number that is added
    to the covariance's diagonal.

    Points are seeds, bars their means; each network at its own best learning rate.
    """
    sizes = metrics.batches(evidence)
    cells = [grouped(metrics.last_rows(evidence, batch), "arm", "ridge") for batch in sizes]
    ratios = {"width_ratios": [len(each) + 0.5 for each in cells]}
    figure, (axes,) = panels(1, len(sizes), (10.5, 4), sharey=True, gridspec_kw=ratios)
    for axis, each in zip(axes, cells, strict=True):
        end_panel(axis, each)
    axes[0].set(ylabel="test error, %", yscale="log")
    axes[0].margins(y=0.15)
    ticks_within(axes[0].yaxis, (1, 2, 3, 5, 10, 20, 30, 50, 90))
    name_panels(axes, (f"mini-batches of {batch}" for batch in sizes))
    legend_below(figure, axes)
    return figure


def end_panel(axis: Axes, cells: Mapping[tuple[str, float], Sequence[Row]]) -> None:
    """Draw every network's error at the end, and each cell's mean."""
    for x, ((name, _), found) in enumerate(cells.items()):
        ends, look = errors(found), ARMS[name]
        middle = float(np.mean(ends))
        spread = np.linspace(-0.2, 0.2, len(ends)) if len(ends) > 1 else np.zeros(1)
        style: dict[str, Any] = {"color": look.colour, "label": look.label}
        axis.plot(x + spread, ends, MARKERS[name], fillstyle="none", **style)
        if np.isnan(middle):
            place = (x, 0.03)
            axis.annotate("diverged", place, xycoords=axis.get_xaxis_transform(), ha="center")
        else:
            axis.hlines(middle, x - 0.35, x + 0.35, color=look.colour, linewidth=2)
            style = {"textcoords": "offset points", "ha": "center"}
            axis.annotate(f"{middle:.1f}", (x, ends.max()), (0, 3 + 72 * 0.12), **style)
    axis.set_xticks(range(len(cells)), [cell_label(*cell) for cell in cells], fontsize=8)
    axis.set_xlim(-0.6, len(cells) - 0.4)


def cell_label(name: str, ridge: float) -> str:
    """The ridge, or what there is in its place."""
    words = {"baseline": "none", "centre": "centring", "bn": "BN"}
    return words.get(name, f"ridge\n{ridge:g}".replace("e-0", "e−"))


def cost_figure(evidence: Evidence) -> Figure:
    """The time of full whitening grows faster than the square of the layer's width, that of BN less
    than in proportion (a), so that whitening takes hundreds of times as long in layers of a
    thousand units (b).

    Forward and backward pass of the transform alone, on one mini-batch; lines are fitted powers of
    the width.
    """
    figure, (axes,) = panels(1, 2, (10.5, 4))
    for name in ("whiten", "bn", "centre"):
        cost_panel(axes[0], evidence, name)
    axes[0].set_ylabel("milliseconds")
    axes[0].legend(fontsize=9)
    ratios = cost_ratios(evidence)
    axes[1].plot(list(ratios), list(ratios.values()), "o-", color="black")
    for place in ratios.items():
        text = f"{place[1]:,.0f}"
        axes[1].annotate(text, place, (-4, 7), textcoords="offset points", ha="right")
    axes[1].set_ylabel("full whitening over BN, times")
    for axis in axes:
        axis.set_xscale("log", base=2)
        axis.set(yscale="log", xlabel="units d of the layer")
        axis.set_xticks(list(ratios), [f"{width:,}" for width in ratios])
    axes[1].set_xlim(left=min(ratios) / 1.7)
    name_panels(axes, ("time of the transform, one layer", "ratio of times"))
    return figure


def cost_panel(axis: Axes, evidence: Evidence, name: str) -> None:
    """Draw measured points, and a line of the fitted power on the widths that were fitted."""
    rows, look = evidence.where("cost", arm=name), ARMS[name]
    power = metrics.cost_exponent(evidence, name)
    fit = "" if power is None else f": ∝ $d^{{{power:.2f}}}$ from d = {metrics.FIT_FROM}"
    points = [row["width"] for row in rows], [1000 * row["seconds"] for row in rows]
    axis.plot(*points, MARKERS[name], color=look.colour, label=look.label + fit)
    if power is not None:
        fitted = metrics.fitted_rows(evidence, name)
        widths, seconds = (np.array([r[c] for r in fitted], float) for c in ("width", "seconds"))
        centre = np.exp(np.mean(np.log(seconds) - power * np.log(widths)))
        axis.plot(widths, 1000 * centre * widths**power, **look.line)


def cost_ratios(evidence: Evidence) -> dict[int, float]:
    """The seconds of whitening over those of BN, by width."""
    seconds = {(row["arm"], row["width"]): row["seconds"] for row in evidence.cost}
    widths = unique(evidence.cost, "width")
    return {width: seconds["whiten", width] / seconds["bn", width] for width in widths}


FIGURES = {
    "convergence": convergence_figure,
    "small-batches": small_batch_figure,
    "cost": cost_figure,
}


def tables(evidence: Evidence) -> list[Table]:
    """How every cell ended, how fast it got there, and what the transforms cost."""
    return [accuracy_table(evidence), speed_table(evidence), cost_table(evidence)]


def accuracy_table(evidence: Evidence) -> Table:
    """A row a cell at its best rate: how it ended."""
    columns = ("own best rate", "ridge or ε", "test accuracy, %", "training loss")
    table = [["mini-batch: arm", *columns]]
    for batch in metrics.batches(evidence)[::-1]:
        cells = grouped(metrics.last_rows(evidence, batch), "arm", "ridge")
        for (name, ridge), rows in cells.items():
            shown = f"{ridge:g}" if name in ("bn", "whiten") else "–"
            accuracy = mean_text([row["accuracy"] for row in rows], 2, 100, limits=(0, 1))
            loss = mean_text([row["loss"] for row in rows], 3)
            label = f"{batch}: {ARMS[name].label}"
            table.append([label, f"{rows[0]['lr']:g}", shown, accuracy, loss])
    return table


def speed_table(evidence: Evidence) -> Table:
    """Steps and seconds to shares of the best accuracy of the network without normalisation."""
    targets = [f"to {share:.0%} of the target: steps, seconds" for share in SHARES]
    table = [[f"mini-batch {metrics.main_batch(evidence)}, median seed", "ms a step", *targets]]
    for name in unique(evidence.step_cost, "arm"):
        cells = [reached(evidence, name, share) for share in SHARES]
        cost = f"{1000 * metrics.step_seconds(evidence, name):.2f}"
        table.append([ARMS[name].label, cost, *cells])
    return table


def reached(evidence: Evidence, name: str, share: float) -> str:
    """Median over seeds of steps and seconds; how many seeds never reached the target."""
    seeds = metrics.seeds(evidence)
    if not any(metrics.curve(evidence, "baseline", seed) for seed in seeds):
        return "no target"
    found = [metrics.steps_to_target(evidence, name, seed, share) for seed in seeds]
    never, middle = found.count(None), upper_median(found)
    note = f" (never: {never} of {len(found)})" if never else ""
    if math.isinf(middle):
        return "never" + note
    return f"{middle:,.0f}, {middle * metrics.step_seconds(evidence, name):.2f} s{note}"


def cost_table(evidence: Evidence) -> Table:
    """Milliseconds of a transform's forward and backward pass."""
    columns = [(name, way) for name in unique(evidence.cost, "arm") for way in PASSES]
    names = [f"{ARMS[name].label}, {way}, ms" for name, way in columns]
    table = [["width", *names, "full whitening / BN"]]
    for width, ratio in cost_ratios(evidence).items():
        rows = {row["arm"]: row for row in evidence.where("cost", width=width)}
        times = [f"{1000 * rows[name][way]:.3g}" for name, way in columns]
        table.append([f"{width:,}", *times, ratio_text(ratio)])
    powers = [metrics.cost_exponent(evidence, name, way) for name, way in columns]
    exponents = ["–" if power is None else f"{power:.2f}" for power in powers]
    return [*table, [f"exponent of width, d ≥ {metrics.FIT_FROM}", *exponents, "–"]]


def ratio_text(ratio: float) -> str:
    """How many times as long."""
    return f"{ratio:,.0f}" if ratio >= 1 else f"{ratio:.2g}"


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    ends = last(metrics.main_rows(evidence, "training"))
    end = {
        name: mean_text([row["accuracy"] for row in rows], 1, 100, " %", interval=False)
        for name, rows in grouped(ends, "arm").items()
    }
    step = metrics.step_seconds(evidence, "whiten") / metrics.step_seconds(evidence, "bn")
    width, ratio = max(cost_ratios(evidence).items())
    whiten, bn = (metrics.cost_exponent(evidence, name) for name in ("whiten", "bn"))
    powers = "" if whiten is None else f" (∝ d^{whiten:.1f} against d^{bn:.1f})"
    return (
        f"After {ends[0]['step']:,} steps, each arm at its own best rate, full whitening is at "
        f"{end['whiten']} test accuracy, BN at {end['bn']}, centring at {end['centre']}, no "
        f"normalisation at {end['baseline']}; with whitening a step of the small network takes "
        f"{step:.1f} times as long as with BN, and the transform of {width:,} units "
        f"{ratio_text(ratio)} times as long{powers}."
    )
