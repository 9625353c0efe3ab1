"""The figures of Section 3.4's experiment; each says in its title what to see."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import FEWEST, Values, complete, mean, percent, t_interval
from bnrepro.evidence.sweeps import accuracy, last
from bnrepro.evidence.tables import Row
from bnrepro.plots.bands import band
from bnrepro.plots.curves import plain_numbers
from bnrepro.plots.panels import legend_below, panels
from bnrepro.plots.style import ARMS, on_data
from experiments.regularization.metrics import (
    best_value,
    by_seed,
    gap,
    group_rows,
    groups,
    networks,
)
from experiments.regularization.tables import (
    LOOKS,
    NOISE,
    answer,
    gap_text,
    images_of,
    mean_of,
    tables,
)

__all__ = ["FIGURES", "answer", "tables"]

MARKERS = {"baseline": "^", "bn": "o", "bn_tuned": "s"}
DEEPEST = 15  # points of accuracy below the best that a panel shows
Choose = Callable[[str, int], list[Row]]  # the rows of an arm on so many images


def dropout_figure(evidence: Evidence) -> Figure:
    """Test accuracy against the Dropout rate, without L2, a panel a size of the training set; ★ is
    an arm's best rate. Where the star of BN lies further left, less Dropout suffices with it."""
    choose = partial(networks, evidence, weight_decay=0)
    return image_panels(evidence, "dropout", choose, "Dropout rate", "Best Dropout rates (★)")


def l2_figure(evidence: Evidence) -> Figure:
    """Test accuracy against the strength of L2, without Dropout, a panel a size of the training
    set; ★ is an arm's best, ▼ a network below the axis. Where the star of BN lies further left,
    less L2 suffices with it."""
    choose = partial(networks, evidence, dropout=0)
    return image_panels(evidence, "weight_decay", choose, "L2", "Best L2 without Dropout (★)")


def image_panels(evidence: Evidence, key: str, choose: Choose, label: str, title: str) -> Figure:
    """Test accuracy against the values of a key, a panel a training set; the best in the title."""
    shown = images_of(evidence)
    each = {n: {arm: choose(arm, n) for arm in LOOKS} for n in shown}
    values = sorted(unique(each[shown[0]]["baseline"], key))
    best = {
        arm: ", ".join(f"{best_value(each[n][arm], key):g}" for n in shown)
        for arm in ("bn_tuned", "baseline")
    }
    figure, (axes,) = panels(1, len(shown), (4.6 * len(shown), 4.3))
    for axis, images in zip(axes, shown, strict=True):
        _panel(axis, key, values, each[images])
        axis.set(title=f"{images:,} training images", xlabel=label)
    axes[0].set_ylabel("test accuracy at the end, %")
    legend_below(figure, axes[:1], None)
    text = f"{title}: {best['bn_tuned']} with BN at its best rate, {best['baseline']} without"
    figure.suptitle(on_data(text, evidence.data))
    return figure


def _panel(axis: Axes, key: str, values: Sequence[float], rows: Mapping[str, list[Row]]) -> None:
    """Each arm's accuracy at every value, evenly spaced, with a star at the best."""
    for arm, look in LOOKS.items():
        each = [percent(by_seed([r for r in rows[arm] if r[key] == v], accuracy)) for v in values]
        band(axis, range(len(values)), each, look, MARKERS[arm], interval=False)
        best = values.index(best_value(rows[arm], key))
        if (middle := mean(each[best])) is not None:
            axis.plot(best, middle, "*", color=look.colour, ms=14)
    axis.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    accuracies = (row["test_accuracy"] for each in rows.values() for row in each)
    shown = [100 * each for each in accuracies if each] or [0.0, 100.0]
    axis.set_ylim(max(min(shown), max(shown) - DEEPEST) - 1, max(shown) + 1)
    _mark_below(axis, key, values, rows)


def _mark_below(
    axis: Axes, key: str, values: Sequence[float], rows: Mapping[str, list[Row]]
) -> None:
    """A triangle at the foot of the axis for every network that lies below it."""
    for arm, each in rows.items():
        lost = [r for r in each if 100 * (r["test_accuracy"] or 100) < axis.get_ylim()[0]]
        places = [values.index(row[key]) for row in lost]
        style: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "clip_on": False}
        if places:  # nothing drawn would leave no room for the axes
            axis.plot(places, [0.01] * len(places), "v", color=LOOKS[arm].colour, **style)


def _groups_title(evidence: Evidence) -> str:
    sizes = groups(evidence)
    ends = (sizes[0], sizes[-2])
    noise = [mean_of(group_rows(evidence, m), NOISE, 2) for m in ends]
    gaps = [gap_text(group_rows(evidence, m)) for m in (sizes[0], sizes[-1])]
    return (
        f"From m = {ends[0]} to {ends[1]} the noise falls from {noise[0]} to {noise[1]};\n"
        f"the gap is {gaps[0]} points at m = {ends[0]}, {gaps[1]} without noise, "
        f"{gap_text(last(evidence.plain))} without BN"
    )


def groups_figure(evidence: Evidence) -> Figure:
    """Networks that take all images in every step and differ in m, how many of them BN normalises
    together: the larger m, the less an output depends on its batch-mates (left). If that noise
    regularises, the gap between training and test accuracy grows with m (right). At every m it is
    larger than without BN."""
    sizes = groups(evidence)
    figure, (axes,) = panels(1, 2, (9.6, 4.3))
    noise = [[row["noise"] for row in group_rows(evidence, m)] for m in sizes[:-1]]
    axes[0].set(yscale="log", title="noise", ylabel="std of a logit over batch-mates / images")
    band(axes[0], sizes[:-1], noise, ARMS["bn"])
    plain_numbers(axes[0].yaxis)
    gaps = [percent(by_seed(group_rows(evidence, m), gap)) for m in sizes]
    band(axes[1], sizes, gaps, ARMS["bn"])
    _plain_line(axes[1], percent(by_seed(last(evidence.plain), gap)))
    axes[1].set(title="gap", ylabel="training minus test accuracy, points")
    for axis in axes:
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(m) for m in sizes[:-1]] + [f"{sizes[-1]}\nall"])
        axis.set_xlabel("m, examples normalised together")
    axes[1].legend()
    figure.suptitle(on_data(_groups_title(evidence), evidence.data))
    return figure


def _plain_line(axis: Axes, values: Values) -> None:
    """The plain network, which has no m: its mean and interval, where no seed diverged."""
    if whole := complete(values):
        interval, look = t_interval(whole), ARMS["baseline"]
        axis.axhline(interval.mean, label=look.label, **look.line)
        if interval.n >= FEWEST:
            axis.axhspan(*interval.bounds(), color=look.colour, alpha=0.13, linewidth=0)


FIGURES = {"dropout": dropout_figure, "groups": groups_figure, "l2": l2_figure}
