"""The figure, the table and the answer of the experiment on small changes."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Values, mean_text, ratio_text
from bnrepro.evidence.sweeps import accuracy, activations, at_best_rate, best_ends, last
from bnrepro.experiment import Table
from bnrepro.plots.curves import lines, plain_numbers
from bnrepro.plots.panels import legend_below, panels, ticks_at
from bnrepro.plots.style import arm, nonlinearity, on_data
from experiments.amplification.metrics import changes, log_growth, log_growths

ARMS = ("baseline", "bn")


def changes_figure(evidence: Evidence) -> Figure:
    """How far a small change of the first layer's weights moves the inputs of every layer's
    nonlinearity, in units of their spread over images; a line that rises amplifies the change.
    Along the gradient it rises with sigmoids, less with BN; with ReLU it rises little in both; in
    random directions (faint) it falls in all."""
    shown = activations(evidence)
    figure, (axes,) = panels(1, len(shown), (4.8 * len(shown), 4), sharey=True)
    for axis, activation in zip(axes, shown, strict=True):
        changes_panel(axis, evidence, activation)
    axes[0].set_ylabel("change of a layer's inputs / their spread")
    legend_below(figure, axes)
    title = "After a change of the first layer's weights by 1 %; each line is a seed"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def changes_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """The changes over depth at the end of training: strong along the gradient, faint at random."""
    for name in ARMS:
        look = arm(name)
        rows = best_ends(evidence.where(activation, arm=name))
        for kind, text, style in (("update", "along the gradient", 1.0), ("random", "random", 0.4)):
            curves = [changes(row, kind) for row in rows]
            points = [(range(1, len(curve) + 1), curve) for curve in curves]
            shown = look._replace(label=f"{look.label}, {text}")
            lines(axis, points, shown, alpha=style, linewidth=1.2)
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    ticks_at(axis.xaxis, range(1, 1 + len(changes(evidence.tables[activation][0]))))
    axis.set(title=nonlinearity(activation), xlabel="hidden layer")


FIGURES = {"changes": changes_figure}


def tables(evidence: Evidence) -> list[Table]:
    """A row an activation and arm at its best rate: growth by direction, trained and before."""
    header = ["each arm at its best rate", "rate, by seed", "growth along the gradient", "by seed"]
    rows = [[*header, "in a random direction", "the same at the start", "last test accuracy, %"]]
    for activation in activations(evidence):
        for name in ARMS:
            each = list(at_best_rate(evidence.where(activation, arm=name)).values())
            found = [last(rows)[0] for rows in each]
            growth = [log_growth(row) for row in found]
            random = ([log_growth(r[place], "random") for r in each] for place in (-1, 0))
            rates = ", ".join(f"{row['lr']:g}" for row in found)
            by_seed = ", ".join(growth_text([value]) for value in growth)
            line = [rates, growth_text(growth), by_seed, *map(growth_text, random)]
            line.append(mean_text([accuracy(row) for row in found], 1, 100, limits=(0, 1)))
            rows.append([f"{nonlinearity(activation)}, {arm(name).label}", *line])
    return [rows]


def growth_text(logs: Values) -> str:
    """The geometric mean of growths, from their logarithms, with its interval."""
    return ratio_text(logs, lost="diverged")


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = []
    for activation in activations(evidence):
        plain, bn = (growth_text(log_growths(evidence, activation, name)) for name in ARMS)
        parts.append(f"{nonlinearity(activation)} {bn} with BN, {plain} without")
    depth = len(changes(evidence.tables[activations(evidence)[0]][0]))
    return (
        "After training a small step of the first layer's weights along the gradient changes layer "
        f"{depth} this many times as much as layer 1, in units of the spread: {'; '.join(parts)}."
    )
