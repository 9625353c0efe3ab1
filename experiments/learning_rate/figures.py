"""Figures of Section 3.3's claims on learning rates; each says in its title what to see."""

import math
from collections import Counter
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Above, complete, exponential, known, t_interval
from bnrepro.evidence.sweeps import accuracy, activations, last, state
from bnrepro.plots.bands import band
from bnrepro.plots.panels import legend_in, panels
from bnrepro.plots.style import Arm, arm, nonlinearity, on_data
from bnrepro.plots.sweeps import STATES
from experiments.learning_rate.metrics import ARMS, at_largest, log_rate_ratio, networks, rows_of
from experiments.learning_rate.tables import answer, effective_words, factors, shown_network, tables

__all__ = ["FIGURES", "answer", "tables"]

LOOKS = {"sigmoid": Arm("sigmoid", "#222222", "-"), "relu": Arm("ReLU", "#8a8a8a", "--")}


def rates_figure(evidence: Evidence) -> Figure:
    """Test accuracy at the end of a short run against the learning rate: with BN a rate several
    times as high still trains (▼: each seed's largest that trains). Right: how many times as high,
    by the number of layers and units."""
    shown = activations(evidence)
    figure, (axes,) = panels(1, len(shown) + 1, (4.6 * (len(shown) + 1), 4.3))
    for axis, activation in zip(axes, shown, strict=False):
        accuracy_panel(axis, evidence, activation)
    axes[0].set_ylabel("test accuracy at the end; diverged: 0")
    axes[0].legend(loc="upper left", fontsize=8)
    ratio_panel(axes[-1], evidence)
    title = "The largest rate that trains (▼ each seed's), times as high with BN"
    figure.suptitle(on_data(f"{title}: {factors(evidence)}", evidence.data))
    return figure


def accuracy_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Every seed's accuracy against the rate; triangles at each seed's largest rate that trains."""
    cell = {"activation": activation, **shown_network(evidence)}
    for height, name in zip((1.06, 1.02), ARMS, strict=True):
        rows = last(rows_of(evidence, name, cell))
        rates = sorted(unique(rows, "lr"))
        values = [[accuracy(r) for r in rows if r["lr"] == rate] for rate in rates]
        band(axis, rates, values, arm(name), interval=False)
        ends = [at_largest(rows, seed) for seed in all_seeds(evidence)]
        places = [row["lr"] for row in ends if row]
        marks: dict[str, Any] = {"color": arm(name).colour, "clip_on": False}
        axis.plot(places, [height] * len(places), "v", **marks)
    axis.set(xscale="log", xlabel="learning rate", ylim=(0, 1.08))
    axis.set_title(f"{nonlinearity(activation)}, {cell['depth']} layers of {cell['width']}")


def ratio_panel(axis: Axes, evidence: Evidence) -> None:
    """Largest rate that trains, with BN over without: every seed, mean and interval, by network."""
    shown = activations(evidence)
    cells = networks(evidence, shown[0])
    for shift, activation in zip((-0.12, 0.12), shown, strict=False):
        look = LOOKS[activation]
        for place, cell in enumerate(cells):
            logs = log_rate_ratio(evidence, {"activation": activation, **cell})
            for log in (log for log in known(logs) if log > -math.inf):
                mark = "^" if isinstance(log, Above) else "."
                text = f"{look.label}{', at least' * (mark == '^')}"
                style: dict[str, Any] = {"color": look.colour, "alpha": 0.5, "label": text}
                axis.plot(place + shift + 0.04, math.exp(log), mark, **style)
            if (whole := complete(logs)) and not any(isinstance(log, Above) for log in whole):
                mean, low, high, _ = exponential(t_interval(whole))
                bars = [[mean - (low or mean)], [(high or mean) - mean]]
                axis.errorbar(place + shift, mean, bars, fmt="o", color=look.colour)
    axis.axhline(1, color="black", linewidth=0.7)
    axis.set_xticks(range(len(cells)), [f"{c['depth']} × {c['width']}" for c in cells])
    axis.set(yscale="log", xlabel="hidden layers × units", ylabel="times as high with BN")
    axis.set_title("largest rate that trains")
    legend_in(axis, fontsize=8)


def failures_figure(evidence: Evidence) -> Figure:
    """How most seeds of a network end at every rate, a row a network: with BN the rates that train
    go on further to the right. Beyond them units saturate, or are dead on every image, or numbers
    leave the finite range."""
    shown = activations(evidence)
    with plt.rc_context({"axes.grid": False}):
        figure, (axes,) = panels(1, len(shown), (7.4 * len(shown), 4.4))
    for axis, activation in zip(axes, shown, strict=True):
        strips(axis, evidence, activation)
    handles = [Patch(facecolor=colour, label=name) for name, colour in STATES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(STATES))
    title = "Beyond the rates that train, how most seeds end: each row a network"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def strips(axis: Axes, evidence: Evidence, activation: str) -> None:
    """A row for each network and arm, coloured by the commonest state of its seeds."""
    rates = sorted(unique(evidence.tables[activation], "lr"))
    names, image = [], []
    for cell in networks(evidence, activation):
        for name in ARMS:
            rows = last(rows_of(evidence, name, {"activation": activation, **cell}))
            states = [Counter(state(r) for r in rows if r["lr"] == rate) for rate in rates]
            # the state of most seeds; of equals the one that comes first in the legend
            image.append([to_rgb(STATES[max(STATES, key=s.__getitem__)]) for s in states])
            names.append(f"{cell['depth']} × {cell['width']} {arm(name).label}")
    axis.imshow(image, aspect="auto", interpolation="nearest")
    axis.set_yticks(range(len(names)), names, fontsize=8)
    for line in range(2, len(names), 2):
        axis.axhline(line - 0.5, color="white", linewidth=3)
    axis.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates], rotation=60, fontsize=8)
    axis.set_xlabel("learning rate")
    axis.set_title(f"{nonlinearity(activation)}: hidden layers × units")


def effective_figure(evidence: Evidence) -> Figure:
    """Test accuracy against the effective step, the rate over the squared length of the weights, a
    point a network; those at the foot have learned nothing. Of the others most with BN do about as
    well as those without at equal effective steps, with sigmoids better at small ones."""
    shown = activations(evidence)
    figure, (axes,) = panels(1, len(shown), (5.4 * len(shown), 4.3), sharey=True)
    for axis, activation in zip(axes, shown, strict=True):
        cell = {"activation": activation, **shown_network(evidence)}
        for name, marker in zip(ARMS, "so", strict=True):
            rows = [r for r in last(rows_of(evidence, name, cell)) if r["effective_step"]]
            x, y = [r["effective_step"] for r in rows], [accuracy(r) for r in rows]
            look: dict[str, Any] = {"color": arm(name).colour, "label": arm(name).label}
            axis.plot(x, y, marker, fillstyle="none", markersize=5, **look)
        axis.set(xscale="log", xlabel="effective step η / ‖w‖² at the end")
        axis.set_xlim(left=1e-5)
        axis.set_title(f"{nonlinearity(activation)}, {cell['depth']} layers of {cell['width']}")
    axes[0].set_ylabel("test accuracy at the end")
    axes[0].legend(loc="upper left", fontsize=8)
    title = f"Largest that trains, with BN over without: {effective_words(evidence)}"
    figure.suptitle(on_data(title, evidence.data))
    return figure


FIGURES = {"rates": rates_figure, "failures": failures_figure, "effective-step": effective_figure}
