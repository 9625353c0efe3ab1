"""Section 3.1: accuracy with each kind of statistics, and whether those statistics are right."""

from collections.abc import Sequence
from operator import sub
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import (
    Values,
    combine,
    largest,
    mean_text,
    number_text,
    percent,
    upper_median,
)
from bnrepro.experiment import Table
from bnrepro.plots.bands import band
from bnrepro.plots.panels import legend_below, name_panels, panels, ticks_at, ticks_within
from bnrepro.plots.style import Arm, Dash, arm
from experiments.inference.metrics import accuracies, fixed_statistics, gap, sizes

STATISTICS = {
    "population": Arm("population (Algorithm 2)", "#00335c", "-"),
    "moving": Arm("moving averages", "#3f97d1", (0, (6, 2))),
    "batch": Arm("the test mini-batch's own", "#a3306b", (0, (2, 1))),
    "population_biased": Arm("population without m/(m−1)", "#8a8a8a", (0, (1, 1))),
}
LAYERS = {
    "hidden1": Arm("hidden layer 1", "#111111", "-"),
    "hidden2": Arm("hidden layer 2", "#2b7bba", (0, (6, 2))),
    "hidden3": Arm("hidden layer 3", "#c9752b", (0, (2, 1))),
}
MARKERS = dict(zip(STATISTICS, "osD^", strict=True))
LAGS: tuple[Dash, ...] = ((0, (1, 1)), (0, (6, 2)), "-")
FOOT = 1e-17  # where a change of exactly zero is drawn


def tables(evidence: Evidence) -> list[Table]:
    """What batch sizes do, and what folding does."""
    return [size_table(evidence), fold_table(evidence)]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    m = sizes(evidence)
    near = min(m, key=lambda size: abs(size - 64))
    change = largest(row["difference"] for row in fixed_statistics(evidence))
    if change is None:
        return "Some networks diverged: the table shows those that did not."
    folds = largest(row["error_in_epsilons"] for row in evidence.fold)
    layers = grouped(evidence.where("moments", m=m[0]), "layer").values()
    ratios = [mean_text([r["ratio_unbiased"] for r in rows], 2, interval=False) for rows in layers]
    place = {2: "second", 3: "third"}.get(len(ratios), "last")
    deeper = f" and {ratios[-1]} times in the {place}" if len(ratios) > 1 else ""
    share = {
        (size, kind): mean_text(accuracies(evidence, size, kind), 2, 100, " %", interval=False)
        for size in (near, m[0])
        for kind in STATISTICS
    }
    return (
        f"With fixed statistics an example's logits change by {change:.1g} when its "
        f"batch-mates do; test accuracy is {share[near, 'population']} at m = {near} "
        f"({share[near, 'moving']} with moving averages); with m/(m−1) the estimated variance "
        f"at m = {m[0]} is {ratios[0]} times the true one in the first layer{deeper}, and "
        f"accuracy is "
        f"{share[m[0], 'population']} with the factor and "
        f"{share[m[0], 'population_biased']} without; folding changes the output by at most "
        f"{number_text(folds, '.0f')} machine epsilons."
    )


def size_table(evidence: Evidence) -> Table:
    """A row a mini-batch size: last accuracy in per cent, and what batch statistics cost."""
    titles = [f"{arm.label}, %" for arm in STATISTICS.values()]
    spread = "label changes with the division of the test set, %"
    rows = [["m", *titles, "moving − population, points", spread]]
    for m in sizes(evidence):
        each = [accuracies(evidence, m, name) for name in STATISTICS]
        each.append(gap(evidence, m, "moving", "population"))
        changes = [row["disagreement"] for row in evidence.where("spread", m=m)]
        means = [mean_text(values, 2, 100) for values in each]
        rows.append([str(m), *means, mean_text(changes, 2, 100, interval=False)])
    return rows


def fold_table(evidence: Evidence) -> Table:
    """Folding: worst error, numbers kept, time in this run; over all networks."""
    columns = ("largest error, machine epsilons", "relative error", "numbers kept", "time saved")
    rows = [["folding", *columns]]
    for dtype, found in grouped(evidence.fold, "dtype").items():
        worst = (largest(row[k] for row in found) for k in ("error_in_epsilons", "error"))
        errors = map(number_text, worst, (".0f", ".1e"))
        kept = f"{found[0]['numbers']:,} → {found[0]['numbers_folded']:,}"
        ratio = upper_median([row["time_ratio"] for row in found])
        saved = f"{100 * (1 - 1 / ratio):.0f} % (median of {len(found)})"
        rows.append([dtype, *errors, kept, saved])
    return rows


def accuracy_figure(evidence: Evidence) -> Figure:
    """Fixed statistics give a lower test error than the test mini-batch's own unless mini-batches
    are large, the more so the smaller they are (a). On average moving averages end as accurate as
    Algorithm 2's population statistics, and at the smallest size the factor m/(m−1) costs accuracy
    (b). Early in training with large mini-batches moving averages lag far behind (c).

    Lines are means over seeds, points are seeds. In (b) and (c) 0 is Algorithm 2.
    """
    m = sizes(evidence)
    figure, (axes,) = panels(1, 3, (10.5, 4))
    for name in ("batch", "population"):
        shares = (accuracies(evidence, size, name) for size in m)
        errors = [combine(lambda v: 100 * (1 - v), each) for each in shares]
        band(axes[0], m, errors, STATISTICS[name], MARKERS[name], interval=False)
    axes[0].set(ylabel="test error, %", yscale="log")
    ticks_within(axes[0].yaxis, (1, 2, 3, 5, 10, 20, 30, 50, 100))
    for name in ("moving", "population_biased"):
        gaps = [percent(gap(evidence, size, name, "population")) for size in m]
        band(axes[1], m, gaps, STATISTICS[name], MARKERS[name], interval=False)
    axes[1].set_ylabel("test accuracy, points")
    for axis in axes[:2]:
        size_axis(axis, m)
    lag_panel(axes[2], evidence, sorted({m[0], m[len(m) // 2], m[-1]}))
    for axis in axes[1:]:
        axis.axhline(0, color="black", linewidth=0.8)
    titles = ("at the end of training", "gap to Algorithm 2, at the end")
    name_panels(axes, (*titles, "moving averages over training"))
    legend_below(figure, axes[:2])
    return figure


def lag_panel(axis: Axes, evidence: Evidence, m: Sequence[int]) -> None:
    """Accuracy with moving averages minus that with Algorithm 2, for some sizes of mini-batch."""
    for size, dash, mark in zip(m, LAGS, "^so", strict=False):
        at = grouped(evidence.where("accuracy", m=size), "examples")
        each = []
        for kinds in (grouped(rows, "statistics") for rows in at.values()):
            pair = ([r["accuracy"] for r in kinds[name]] for name in ("moving", "population"))
            each.append(percent(combine(sub, *pair)))
        look = Arm(f"m = {size}", STATISTICS["moving"].colour, dash)
        band(axis, [examples / 1000 for examples in at], each, look, mark, interval=False)
    axis.set(xlabel="examples seen, thousands", ylabel="test accuracy, points")
    axis.legend(fontsize=9, loc="lower right")


def size_axis(axis: Axes, m: Sequence[int]) -> None:
    """The sizes of the mini-batches, each twice the one before."""
    axis.set_xscale("log", base=2)
    ticks_at(axis.xaxis, m, fontsize=9)
    axis.set_xlabel("mini-batch size m in training")


def statistics_figure(evidence: Evidence) -> Figure:
    """Algorithm 2's factor m/(m−1) makes the variance right in the first layer and too large in the
    deeper ones, whose mini-batches already have one mean (a), so that their normalised values are
    too narrow at test time (b); with fixed statistics an example's output does not depend on its
    batch-mates at all (c).

    Lines are means over seeds and units, points are seeds; (c) has the largest change over seeds
    and images, in float64.
    """
    m = sizes(evidence)
    figure, (axes,) = panels(1, 3, (10.5, 4))
    layer_panel(axes[0], evidence, "moments", "ratio_unbiased")
    axes[0].set_ylabel("Algorithm 2's variance over the true one")
    layer_panel(axes[1], evidence, "x_hat", "x_hat_var")
    axes[1].set(ylabel="variance over training images", ylim=(0, None))
    for axis in axes[:2]:
        size_axis(axis, m)
    mates_panel(axes[2], evidence, m)
    titles = ("population variance", "normalised values at test time", "among other batch-mates")
    name_panels(axes, titles)
    legend_below(figure, axes, 4, fontsize=9)
    return figure


def layer_panel(axis: Axes, evidence: Evidence, table: str, column: str) -> None:
    """A column over m, a line a layer; what it should be, 1, in grey."""
    axis.axhline(1, color="#bbbbbb", linewidth=5, label="the true variance")
    for layer in unique(evidence.where(table), "layer"):
        values = by_size(evidence, table, column, layer=layer)
        band(axis, sizes(evidence), values, LAYERS.get(layer) or arm(layer), interval=False)


def by_size(evidence: Evidence, table: str, column: str, **values: Any) -> list[Values]:
    """A column, a value a seed, for every size."""
    each = (evidence.where(table, m=m, **values) for m in sizes(evidence))
    return [[row[column] for row in rows] for rows in each]


def mates_panel(axis: Axes, evidence: Evidence, m: Sequence[int]) -> None:
    """Largest change of a logit; a change of exactly zero is drawn at the axis' foot."""
    for name in ("batch", "moving", "population"):
        found = by_size(evidence, "company", "difference", statistics=name)
        shown = [combine(lambda v: max(v, FOOT), values) for values in found]
        band(axis, m, shown, STATISTICS[name], MARKERS[name], interval=False)
    axis.set(ylabel="largest change of an output", yscale="log", ylim=(FOOT / 3, 1e3))
    size_axis(axis, m)
    ticks_at(axis.yaxis, [FOOT, 1e-12, 1e-8, 1e-4, 1], ["0", "1e−12", "1e−8", "1e−4", "1"])


FIGURES = {"accuracy": accuracy_figure, "statistics": statistics_figure}
