"""Section 3.1: accuracy with each kind of statistics, and whether those statistics are right."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.statistics import t_interval
from bnrepro.experiment import Table
from bnrepro.plots.bands import band
from bnrepro.plots.style import RC, Arm
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


def tables(evidence: Evidence) -> list[Table]:
    """What batch sizes do, and what folding does."""
    return [size_table(evidence), fold_table(evidence)]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    m = sizes(evidence)
    near = min(m, key=lambda size: abs(size - 64))
    change = max(row["difference"] for row in fixed_statistics(evidence))
    folds = [row["error_in_epsilons"] for row in evidence.where("fold")]
    first, last = (
        t_interval(_column(evidence, "moments", "ratio_unbiased", m=m[0], layer=layer)).mean
        for layer in ("hidden1", "hidden3")
    )
    return (
        f"With fixed statistics an example's logits change by {change:.1g} when its batch-mates "
        f"do; test accuracy is {_percent(evidence, near, 'population')} at m = {near} "
        f"({_percent(evidence, near, 'moving')} with moving averages); with m/(m−1) the estimated "
        f"variance at m = {m[0]} is {first:.2f} times the true one in the first layer and "
        f"{last:.2f} times in the third, and accuracy is "
        f"{_percent(evidence, m[0], 'population')} with the factor and "
        f"{_percent(evidence, m[0], 'population_biased')} without; folding changes the output by "
        f"at most {max(folds):.0f} machine epsilons."
    )


def _percent(evidence: Evidence, m: int, statistics: str) -> str:
    return f"{100 * t_interval(_accuracies(evidence, m, statistics)).mean:.2f} %"


def _accuracies(evidence: Evidence, m: int, statistics: str) -> list[float]:
    return list(accuracies(evidence, m, statistics).values())


def _column(evidence: Evidence, table: str, column: str, **values: Any) -> list[float]:
    """A column's finite numbers in the rows of a table that have these values."""
    return [row[column] for row in evidence.where(table, **values) if row[column] is not None]


def size_table(evidence: Evidence) -> list[list[str]]:
    """A row a mini-batch size: last accuracy in per cent, and what batch statistics cost."""
    titles = [f"{arm.label}, %" for arm in STATISTICS.values()]
    spread = "label changes with the division of the test set, %"
    rows = [["m", *titles, "moving − population, points", spread]]
    for m in sizes(evidence):
        each = (t_interval(_accuracies(evidence, m, name)) for name in STATISTICS)
        difference = t_interval(list(gap(evidence, m, "moving", "population").values()))
        means = [interval.times(100).text(2) for interval in (*each, difference)]
        changes = t_interval(_column(evidence, "spread", "disagreement", m=m))
        rows.append([str(m), *means, f"{100 * changes.mean:.2f}"])
    return rows


def fold_table(evidence: Evidence) -> list[list[str]]:
    """Folding: worst error, numbers kept, time in this run; over all networks."""
    columns = ("largest error, machine epsilons", "relative error", "numbers kept", "time saved")
    rows = [["folding", *columns]]
    for dtype in ("float32", "float64"):
        found = evidence.where("fold", dtype=dtype)
        epsilons, error = (max(r[k] for r in found) for k in ("error_in_epsilons", "error"))
        kept = f"{found[0]['numbers']:,} → {found[0]['numbers_folded']:,}"
        ratios = sorted(r["time_ratio"] for r in found)
        saved = f"{100 * (1 - 1 / ratios[len(ratios) // 2]):.0f} % (median of {len(ratios)})"
        rows.append([dtype, f"{epsilons:.0f}", f"{error:.1e}", kept, saved])
    return rows


def accuracy_figure(evidence: Evidence) -> Figure:
    """Error at the end against m, and accuracy over training for three of the sizes."""
    m = sizes(evidence)
    chosen = [m[0], m[len(m) // 2], m[-1]]
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
        _against_size(axes[0, 0], evidence, m)
        for axis, size in zip(axes.flat[1:], chosen, strict=True):
            _over_training(axis, evidence, size)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=10)
        count = len(all_seeds(evidence))
        figure.suptitle(f"Which statistics at test time? {count} seeds, mean and 95 % interval")
    return figure


def _against_size(axis: Axes, evidence: Evidence, m: Sequence[int]) -> None:
    for name, arm in STATISTICS.items():
        errors = [[100 * (1 - v) for v in _accuracies(evidence, size, name)] for size in m]
        band(axis, m, errors, arm, MARKERS[name])
    axis.set(title="At the end of training", ylabel="test error, %", yscale="log")
    _size_axis(axis, m)


def _size_axis(axis: Axes, m: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(m, [str(size) for size in m], fontsize=9)
    axis.minorticks_off()
    axis.set_xlabel("mini-batch size m in training")
    if axis.get_yscale() == "log":
        ticks = [t for t in (1, 2, 3, 5, 10, 20, 30, 50, 100) if _inside(axis, t)]
        axis.set_yticks(ticks, [str(t) for t in ticks])


def _inside(axis: Axes, value: float) -> bool:
    low, high = axis.get_ylim()
    return low <= value <= high


def _over_training(axis: Axes, evidence: Evidence, m: int) -> None:
    for name, arm in STATISTICS.items():
        rows = evidence.where("accuracy", m=m, statistics=name)
        stops = sorted({r["examples"] for r in rows})
        values = [[100 * r["accuracy"] for r in rows if r["examples"] == s] for s in stops]
        band(axis, [s / 1000 for s in stops], values, arm, MARKERS[name])
    axis.set(title=f"m = {m}", xlabel="examples seen, thousands", ylabel="test accuracy, %")
    lowest = min(100 * r["accuracy"] for r in evidence.where("accuracy", m=m))
    axis.set_ylim(max(lowest - 4, 0), 100)


def statistics_figure(evidence: Evidence) -> Figure:
    """Is the variance right, is x̂ normalised at inference, do batch-mates matter?"""
    m = sizes(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
        axes[0, 0].sharey(axes[0, 1])
        _variance_panel(axes[0, 0], evidence, m, "ratio_biased")
        _variance_panel(axes[0, 1], evidence, m, "ratio_unbiased")
        _x_hat_panel(axes[1, 0], evidence, m)
        _mates_panel(axes[1, 1], evidence, m)
        figure.suptitle(
            f"Population statistics: {len(all_seeds(evidence))} seeds, means over units"
        )
    return figure


def _variance_panel(axis: Axes, evidence: Evidence, m: Sequence[int], column: str) -> None:
    axis.axhline(1, color="#bbbbbb", linewidth=5, label="right")
    for layer, arm in LAYERS.items():
        band(axis, m, [_column(evidence, "moments", column, layer=layer, m=s) for s in m], arm)
    title, label = "mean of σ²_B, without m/(m−1)", "estimate / variance over all examples"
    if column == "ratio_unbiased":
        title = "mean of σ²_B times m/(m−1): Algorithm 2"
    else:
        axis.plot(m, [(s - 1) / s for s in m], ":", color="#777777", label="(m−1)/m")
        axis.set_ylabel(label)
    axis.set_title(title)
    _size_axis(axis, m)
    axis.legend(fontsize=9)


def _x_hat_panel(axis: Axes, evidence: Evidence, m: Sequence[int]) -> None:
    axis.axhline(1, color="#bbbbbb", linewidth=5, label="as in training")
    for layer, arm in LAYERS.items():
        band(axis, m, [_column(evidence, "x_hat", "x_hat_var", layer=layer, m=s) for s in m], arm)
    axis.set(title="x̂ at inference, Algorithm 2", ylabel="variance over training images")
    _size_axis(axis, m)
    axis.legend(fontsize=9)


def _mates_panel(axis: Axes, evidence: Evidence, m: Sequence[int]) -> None:
    """Largest change of a logit; a change of exactly zero is drawn at the axis' foot."""
    foot = 1e-17
    for name in ("batch", "moving", "population"):
        found = [_column(evidence, "company", "difference", statistics=name, m=s) for s in m]
        shown = [[max(v, foot) for v in values] for values in found]
        band(axis, m, shown, STATISTICS[name], MARKERS[name], interval=False)
    axis.set(
        title="The same example among other batch-mates",
        ylabel="largest change of a logit, float64",
    )
    _size_axis(axis, m)
    axis.set(yscale="log", ylim=(foot / 3, 1e3))
    axis.set_yticks([foot, 1e-12, 1e-8, 1e-4, 1], ["0", "1e−12", "1e−8", "1e−4", "1"])
    axis.legend(fontsize=9, loc="center right")


FIGURES = {"accuracy": accuracy_figure, "statistics": statistics_figure}
