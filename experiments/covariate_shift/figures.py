"""The figures on internal covariate shift: how far inputs move, in what, and whether it slows."""

from collections.abc import Callable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import t_interval
from bnrepro.plots.bands import band
from bnrepro.plots.style import RC
from experiments.covariate_shift.metrics import log_ratios, means, steps_by_seed
from experiments.covariate_shift.tables import (
    PARTS,
    SHARE,
    WHAT,
    activations_of,
    answer,
    compared,
    lags_of,
    listed,
    networks_of,
    speeds_of,
    tables,
    title,
)

__all__ = ["FIGURES", "answer", "tables"]

MARKERS = "^os"  # of the plain network, of BN at the same rate, of BN at its best
Panel = Callable[[Axes, Evidence, str], None]


def panels(evidence: Evidence, draw: Panel, sentence: str) -> Figure:
    """A panel an activation, one legend, and what there is to see in one sentence."""
    activations = activations_of(evidence)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            1, len(activations), figsize=(5.2 * len(activations), 4.6),
            squeeze=False, layout="constrained",
        )  # fmt: skip
        for axis, activation in zip(axes[0], activations, strict=True):
            draw(axis, evidence, activation)
            axis.set_title(title(activation))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.suptitle(f"{sentence}\n{len(all_seeds(evidence))} seeds", fontsize=11)
    return figure


def per_activation(evidence: Evidence, table: str, column: str, **values: object) -> str:
    """BN's ratio to the plain network at the same rate, by activation."""
    texts = []
    for activation in activations_of(evidence):
        networks = compared(evidence, activation, "same")
        ratio = listed([log_ratios(evidence, table, column, networks, **values)])
        texts.append(f"{ratio} ({title(activation)})")
    return ", ".join(texts)


def shift_figure(evidence: Evidence) -> Figure:
    """The drift of u against the lag."""
    ratios = per_activation(evidence, "drift", "total", what="u")
    sentence = f"A layer's input moves {ratios} times as far with BN as without, at the same rate"
    return panels(evidence, _drift_panel, sentence)


def _drift_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    lags = lags_of(evidence)
    for (network, arm), marker in zip(networks_of(evidence, activation), MARKERS, strict=True):
        values = [means(evidence, "drift", "total", network, what="u", lag=lag) for lag in lags]
        band(axis, lags, values, arm, marker, interval=False)
    axis.set(xscale="log", yscale="log", xlabel="lag, steps")
    axis.set_ylabel("drift of u, in units of its spread")
    axis.set_xticks(lags, [f"{lag:,}" for lag in lags])
    axis.minorticks_off()


def parts_figure(evidence: Evidence) -> Figure:
    """The drift of u and of a over the longest lag, split into mean, scale and shape."""
    ratios = per_activation(evidence, "drift", "shape", what="u", lag=lags_of(evidence)[-1])
    sentence = (
        f"Drift over {lags_of(evidence)[-1]:,} steps by its parts: the shape of u moves {ratios} "
        "times as far with BN"
    )
    return panels(evidence, _parts_panel, sentence)


def _parts_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    lag, networks, names = lags_of(evidence)[-1], networks_of(evidence, activation), []
    for group, what in enumerate(WHAT):
        for place, (network, arm) in enumerate(networks):
            x, bottom = group * (len(networks) + 1) + place, 0.0
            names.append((x, ("none", "BN,\nsame", "BN,\nbest")[place]))
            for part, strength in zip(("shape", "scale", "mean"), (1, 0.55, 0.2), strict=True):
                values = means(evidence, "drift", part, network, what=what, lag=lag)
                height = t_interval([v or 0 for v in values]).mean
                label = PARTS[part] if place == group == 0 else None
                axis.bar(x, height, 0.8, bottom, color=arm.colour, alpha=strength, label=label)
                bottom += height
        axis.text(group * (len(networks) + 1) + 1, 0, f"\n\n\n{WHAT[what]}", ha="center", va="top")
    axis.set_xticks([x for x, _ in names], [name for _, name in names])
    axis.set_ylabel("drift, in units of the spread")
    axis.grid(axis="x", visible=False)


def gradient_figure(evidence: Evidence) -> Figure:
    """The change of gradients by the layers below, over training."""
    ratios = per_activation(evidence, "gradient", "distance")
    sentence = f"The layers below change a layer's gradient {ratios} times as much with BN"
    return panels(evidence, _gradient_panel, sentence)


def _gradient_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    starts = sorted(unique(evidence.gradient, "start"))
    for (network, arm), marker in zip(networks_of(evidence, activation), MARKERS, strict=True):
        values = [means(evidence, "gradient", "distance", network, start=s) for s in starts]
        band(axis, starts, values, arm, marker, interval=False)
    axis.set(xscale="log", xlabel="training steps", ylim=(0, None))
    axis.set_ylabel("‖G′ − G‖/‖G‖, G = ∂ℓ/∂W, G′ once\nthe layers below are updated")
    axis.set_xticks(starts, [f"{start:,}" for start in starts])
    axis.minorticks_off()


def noise_figure(evidence: Evidence) -> Figure:
    """Steps to the target against the drift of a: plain, BN, and BN with noise."""
    return panels(
        evidence, _noise_panel,
        "Does training slow down with the shift? Each network at its best rate",
    )  # fmt: skip


def _noise_panel(axis: Axes, evidence: Evidence, activation: str) -> None:
    seen = set()
    for network, arm in speeds_of(evidence, activation):
        drifts = means(evidence, "drift", "total", network, what="a")
        pairs = list(zip(drifts, steps_by_seed(evidence, network, SHARE), strict=True))
        known = [(d, s) for d, s in pairs if d is not None and s is not None]
        if not known:
            continue
        marker = {"baseline": "^", "bn": "o"}.get(network.arm, "D")
        label = None if network.arm in seen else arm.label
        axis.plot(*zip(*known, strict=True), marker, color=arm.colour, alpha=0.4, ms=4)
        x, y = (t_interval(column).mean for column in zip(*known, strict=True))
        axis.plot(x, y, marker, color=arm.colour, ms=10, label=label)
        if network.noise:
            axis.annotate(f"κ = {network.noise:g}", (x, y), (6, 6), textcoords="offset points")
        seen.add(network.arm)
    axis.set(xscale="log", ylim=(0, None), xlabel="drift of a, in units of its spread")
    axis.set_ylabel(f"steps to {100 * SHARE:g} % of the plain\nnetwork's best accuracy")


FIGURES = {
    "shift": shift_figure,
    "noise": noise_figure,
    "parts": parts_figure,
    "gradients": gradient_figure,
}
