"""Section 3.1: accuracy with each kind of statistics, and whether those statistics are right."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, unique
from bnrepro.evidence.statistics import (
    Values,
    combine,
    largest,
    mean_text,
    number_text,
    upper_median,
)
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.bands import band, band_over
from bnrepro.plots.panels import legend_below, panels, ticks_at, ticks_within
from bnrepro.plots.style import Arm, arm
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
    """Error at the end against m, and accuracy over training for three of the sizes."""
    m = sizes(evidence)
    figure, axes = panels(2, 2, (11, 8))
    first, *others = axes.flat
    for name, look in STATISTICS.items():
        shares = (accuracies(evidence, size, name) for size in m)
        errors = [combine(lambda v: 100 * (1 - v), each) for each in shares]
        band(first, m, errors, look, MARKERS[name])
    first.set(title="At the end of training", ylabel="test error, %", yscale="log")
    size_axis(first, m)
    ticks_within(first.yaxis, (1, 2, 3, 5, 10, 20, 30, 50, 100))
    for axis, size in zip(others, sorted({m[0], m[len(m) // 2], m[-1]}), strict=False):
        training_panel(axis, evidence, size)
    for axis in others[len(m) :]:
        axis.set_axis_off()
    legend_below(figure, [first], fontsize=10)
    count = len(all_seeds(evidence))
    figure.suptitle(f"Which statistics at test time? {count} seeds, mean and 95 % interval")
    return figure


def size_axis(axis: Axes, m: Sequence[int]) -> None:
    """The sizes of the mini-batches, each twice the one before."""
    axis.set_xscale("log", base=2)
    ticks_at(axis.xaxis, m, fontsize=9)
    axis.set_xlabel("mini-batch size m in training")


def percent(row: Row) -> float:
    """Accuracy in per cent."""
    return 100 * row["accuracy"]


def training_panel(axis: Axes, evidence: Evidence, m: int) -> None:
    """Test accuracy over training with mini-batches of m."""
    rows = [r | {"thousands": r["examples"] / 1000} for r in evidence.where("accuracy", m=m)]
    for name, look in STATISTICS.items():
        found = [row for row in rows if row["statistics"] == name]
        band_over(axis, found, "thousands", percent, look, MARKERS[name])
    axis.set(title=f"m = {m}", xlabel="examples seen, thousands", ylabel="test accuracy, %")
    axis.set_ylim(max(min(map(percent, rows)) - 4, 0), 100)


def statistics_figure(evidence: Evidence) -> Figure:
    """Is the variance right, is x̂ normalised at inference, do batch-mates matter?"""
    m = sizes(evidence)
    figure, ((biased, unbiased), (x_hat, mates)) = panels(2, 2, (11, 8))
    biased.sharey(unbiased)
    layer_panel(biased, evidence, "moments", "ratio_biased", "right")
    biased.plot(m, [(s - 1) / s for s in m], ":", color="#777777", label="(m−1)/m")
    biased.set_ylabel("estimate / variance over all examples")
    biased.set_title("mean of σ²_B, without m/(m−1)")
    layer_panel(unbiased, evidence, "moments", "ratio_unbiased", "right")
    unbiased.set_title("mean of σ²_B times m/(m−1): Algorithm 2")
    layer_panel(x_hat, evidence, "x_hat", "x_hat_var", "as in training")
    x_hat.set(title="x̂ at inference, Algorithm 2", ylabel="variance over training images")
    for axis in (biased, unbiased, x_hat):
        size_axis(axis, m)
        axis.legend(fontsize=9)
    mates_panel(mates, evidence, m)
    count = len(all_seeds(evidence))
    figure.suptitle(f"Population statistics: {count} seeds, means over units")
    return figure


def layer_panel(axis: Axes, evidence: Evidence, table: str, column: str, target: str) -> None:
    """A column over m, a line a layer; what it should be, 1, in grey."""
    axis.axhline(1, color="#bbbbbb", linewidth=5, label=target)
    for layer in unique(evidence.where(table), "layer"):
        values = by_size(evidence, table, column, layer=layer)
        band(axis, sizes(evidence), values, LAYERS.get(layer) or arm(layer))


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
    axis.set(title="The same example among other batch-mates")
    axis.set(ylabel="largest change of a logit, float64", yscale="log", ylim=(FOOT / 3, 1e3))
    size_axis(axis, m)
    ticks_at(axis.yaxis, [FOOT, 1e-12, 1e-8, 1e-4, 1], ["0", "1e−12", "1e−8", "1e−4", "1"])
    axis.legend(fontsize=9, loc="center right")


FIGURES = {"accuracy": accuracy_figure, "statistics": statistics_figure}
