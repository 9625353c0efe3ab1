"""The figures on internal covariate shift: how far inputs move, in what, and whether it slows."""

import math
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import mean, upper_median
from bnrepro.plots.bands import band
from bnrepro.plots.curves import plain_numbers
from bnrepro.plots.panels import legend_below, panels, ticks_at
from bnrepro.plots.style import Arm, nonlinearity
from experiments.covariate_shift.metrics import Network, last_step, means, steps_by_seed
from experiments.covariate_shift.tables import (
    PARTS,
    SHARE,
    WHAT,
    activations_of,
    answer,
    controls,
    lags_of,
    name_of,
    networks_of,
    same_rate,
    speeds_of,
    tables,
)

__all__ = ["FIGURES", "answer", "tables"]

NEVER = 1.25  # times the last step: where a target that is never reached is drawn
STEPS = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)  # ticks
MARKERS = "^os"  # of the plain network, of BN at the same rate, of BN at its best
Panel = Callable[[Axes, Evidence, str], None]


def by_activation(evidence: Evidence, draw: Panel, sentence: str) -> Figure:
    """A panel an activation, one legend, and what there is to see in one sentence."""
    activations, count = activations_of(evidence), len(all_seeds(evidence))
    figure, (axes,) = panels(1, len(activations), (5.2 * len(activations), 4.6))
    for axis, activation in zip(axes, activations, strict=True):
        draw(axis, evidence, activation)
        axis.set_title(nonlinearity(activation))
    legend_below(figure, axes[:1], None)
    figure.suptitle(f"{sentence}\n{count} seed{'s' * (count > 1)}", fontsize=11)
    return figure


def shift_figure(evidence: Evidence) -> Figure:
    """How far the distribution of a layer's inputs moves within a number of steps, the lag, in
    units of its spread: without BN, with BN at the same rate, and with BN at its own best rate. A
    lower line moves less; the two with BN are the same where the rates are."""
    ratios = same_rate(evidence, "drift", "total", what="u")
    sentence = f"A layer's input u moves {ratios} times as far with BN, at the same rate"
    return by_activation(evidence, _drift_panel, sentence)


def _drift_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    lags = lags_of(evidence)
    axis.set(xscale="log", yscale="log", xlabel="lag, steps")
    for (network, arm), marker in zip(networks_of(evidence, activation), MARKERS, strict=True):
        values = [means(evidence, "drift", "total", network, what="u", lag=lag) for lag in lags]
        band(axis, lags, values, arm, marker, interval=False)
    axis.set_ylabel("drift of u, in units of its spread")
    axis.set_xticks(lags, [f"{lag:,}" for lag in lags])
    plain_numbers(axis.yaxis)
    axis.minorticks_off()


def parts_figure(evidence: Evidence) -> Figure:
    """The drift over the longest lag, split into what moves: the mean, the scale or the shape of a
    distribution; of a layer's inputs (left in each panel) and of its nonlinearity's (right)."""
    lag = lags_of(evidence)[-1]
    ratios = same_rate(evidence, "drift", "shape", what="u", lag=lag)
    sentence = f"Over {lag:,} steps the shape of u moves {ratios} times as far with BN"
    return by_activation(evidence, _parts_panel, sentence)


def _parts_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    lag, networks, names = lags_of(evidence)[-1], networks_of(evidence, activation), []
    for group, what in enumerate(WHAT):
        for place, (network, arm) in enumerate(networks):
            x, bottom = group * (len(networks) + 1) + place, 0.0
            names.append((x, ("none", "BN,\nsame", "BN,\nbest")[place]))
            for part, strength in zip(("shape", "scale", "mean"), (1, 0.55, 0.2), strict=True):
                height = mean(means(evidence, "drift", part, network, what=what, lag=lag))
                if height is None:
                    axis.text(x, 0, " diverged", rotation=90, ha="center", va="bottom")
                    break
                look: dict[str, Any] = {"color": arm.colour, "alpha": strength}
                axis.bar(x, height, 0.8, bottom, label=PARTS[part], **look)
                bottom += height
        axis.text(group * (len(networks) + 1) + 1, 0, f"\n\n\n{WHAT[what]}", ha="center", va="top")
    axis.set_xticks([x for x, _ in names], [name for _, name in names])
    axis.set_ylabel("drift, in units of the spread")
    axis.grid(axis="x", visible=False)
    axis.set_axisbelow(True)


def gradient_figure(evidence: Evidence) -> Figure:
    """How much a layer's gradient changes when the layers below it are updated, over training: the
    shift as the loss sees it. A lower line changes less."""
    ratios = same_rate(evidence, "gradient", "distance")
    sentence = f"The layers below change a layer's gradient {ratios} times as much with BN"
    sentence += "\ngeometric mean over layers and starts, to which the smallest changes count most"
    return by_activation(evidence, _gradient_panel, sentence)


def _gradient_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    starts = sorted(unique(evidence.gradient, "start"))
    for (network, arm), marker in zip(networks_of(evidence, activation), MARKERS, strict=True):
        values = [means(evidence, "gradient", "distance", network, start=s) for s in starts]
        band(axis, starts, values, arm, marker, interval=False)
    axis.set(xscale="log", xlabel="training steps", ylim=(0, None))
    axis.set_ylabel("‖G′ − G‖/‖G‖, G = ∂ℓ/∂W, G′ once\nthe layers below are updated")
    ticks_at(axis.xaxis, starts, (f"{start:,}" for start in starts))


def noise_figure(evidence: Evidence) -> Figure:
    """Steps to a target accuracy against the drift of the nonlinearity's inputs. Noise behind BN
    makes them drift more than without BN: if drift were what slows training, all these networks (◆)
    would be slower than without BN. Those with the weakest noise are faster, those with the
    strongest slower. Large: the mean drift, and the steps of the median seed."""
    drift, steps = controls(evidence)
    sentence = (
        f"The weakest noise behind BN that shifts more than the plain network ({drift} times)\n"
        f"takes {steps} times its steps; stronger noise (κ) stands beside it"
        if drift
        else "No noise moves a further than without BN"
    )
    return by_activation(evidence, _noise_panel, sentence)


def _noise_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    last = last_step(evidence)
    axis.set(xscale="log", yscale="log", xlabel="drift of a, in units of its spread")
    axis.axhline(last, color="#aaaaaa", linewidth=0.8)
    networks = speeds_of(evidence, activation)
    lost = [name_of(*each) for each in networks if not _noise_points(axis, evidence, *each)]
    text = "\n".join(f"{name}: diverged" for name in lost)
    axis.text(0.02, 0.02, text, transform=axis.transAxes, fontsize=8)
    axis.set_ylabel(f"steps to {100 * SHARE:g} % of the plain\nnetwork's best accuracy")
    ticks = [step for step in STEPS if step < last]
    axis.set_yticks([*ticks, NEVER * last], [*(f"{step:,}" for step in ticks), "never"])
    axis.yaxis.set_minor_locator(NullLocator())
    plain_numbers(axis.xaxis)
    axis.margins(0.15)


def _noise_points(axis: Axes, evidence: Evidence, network: Network, arm: Arm) -> bool:
    """Every seed small, a network large; whether there is one, which is where no seed diverged."""
    never = NEVER * last_step(evidence)
    drifts = means(evidence, "drift", "total", network, what="a", log=True)
    steps = [step or never for step in steps_by_seed(evidence, network, SHARE)]
    marker = {"baseline": "^", "bn": "o"}.get(network.arm, "D")
    for drift, step in zip(drifts, steps, strict=True):
        if drift is not None:
            axis.plot(math.exp(drift), step, marker, color=arm.colour, alpha=0.4, ms=4)
    if (middle := mean(drifts)) is None:
        return False
    place = math.exp(middle), upper_median(steps)
    axis.plot(*place, marker, color=arm.colour, ms=9, label=arm.label)
    if network.noise:
        label = f"κ = {network.noise:g}"
        axis.annotate(label, place, (9, -10), textcoords="offset points")
    return True


FIGURES = {
    "shift": shift_figure,
    "noise": noise_figure,
    "parts": parts_figure,
    "gradients": gradient_figure,
}
