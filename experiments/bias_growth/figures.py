"""Figures of Section 2: exact growth of the bias, where training blows up, and how."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, seeds, unique
from bnrepro.plots.style import RC, arm
from experiments.bias_growth.metrics import LIMIT, blown_up, exact, last_rows

NETWORKS = {"sigmoid": "sigmoid network", "relu": "ReLU network"}
CURVES = {  # what is drawn, its name and the axis; a line that leaves the axis has diverged
    "loss": ("training loss", (0.1, 300)),
    "bias": ("bias b, RMS over units", (1e-3, 100)),
    "drift": ("|Δb| a step / lr, RMS", (1e-5, 1)),
    "weight": ("weights, ‖W‖", (8, 300)),
    "std": ("σ of Wu + b", (0.02, 100)),
}


def variant(row: Row) -> str:
    """A row's arm, by its name in `style.ARMS`."""
    if row["gradient"] == "through":
        return "bn" if row["transform"] == "scale" else "centre"
    return f"{row['transform']}_outside"


# --- exact ---------------------------------------------------------------------------------------


def exact_figure(evidence: SweepEvidence) -> Figure:
    """Bias, loss and the drive Σ ∂ℓ/∂x̂ over full-batch steps, every seed a line."""
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(13, 4.1), layout="constrained")
        columns = {"bias": "bias b, RMS over units", "loss": "loss", "drive": "largest |Σ ∂ℓ/∂x̂|"}
        for axis, (column, name) in zip(axes, columns.items(), strict=True):
            exact_panel(axis, evidence, column)
            axis.set_ylabel(name)
            axis.set_xlabel("gradient step on all the data")
        axes[0].set_title("(a) b alone trained: it grows by the same step …")
        axes[1].set_title("(b) … and the loss does not change")
        axes[2].set_title("(c) the layer above, trained too, cuts its drive")
        axes[1].set_ylim(bottom=0)
        axes[2].set_yscale("log")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
        )
    return figure


def exact_panel(axis: Axes, evidence: SweepEvidence, column: str) -> None:
    above = evidence.where(part="exact", above=True)
    for name in ("scale_outside", "centre_outside", "bn"):
        found = [row for row in exact(evidence) if variant(row) == name]
        label, colour, dash = arm(name)
        text = "BN: gradient through the statistics" if name == "bn" else f"{label}, b alone"
        _seed_lines(axis, found, column, text, colour, dash)
    text = "centring outside, layer above trained too"
    _seed_lines(axis, above, column, text, "#555555", (0, (3, 1, 1, 1)))


def _seed_lines(
    axis: Axes, rows: Sequence[Row], column: str, label: str, colour: str, dash: object
) -> None:
    for number, seed in enumerate(unique(rows, "seed")):
        own = [r for r in rows if r["seed"] == seed]
        values = [np.nan if r[column] is None else r[column] for r in own]
        axis.plot(
            [r["t"] for r in own],
            values,
            color=colour,
            linestyle=dash,  # type: ignore[arg-type]
            linewidth=1.3,
            label=None if number else label,
        )


# --- where it blows up ---------------------------------------------------------------------------


def blow_up_figure(evidence: SweepEvidence) -> Figure:
    """A map a network: arms × rates, the share of seeds that blew up and the median last loss."""
    activations = unique(evidence.where(part="training"), "activation")
    with plt.rc_context(RC | {"axes.grid": False}):
        figure, axes = plt.subplots(
            1, len(activations), figsize=(8 * len(activations), 4.6), squeeze=False, sharey=True
        )
        for axis, activation in zip(axes[0], activations, strict=True):
            blow_up_map(axis, evidence, activation)
        figure.suptitle(
            "Median training loss at the end; dark and ✗: seeds that blew up (loss not finite or "
            f"above {LIMIT:.1f}, twice that of guessing)"
        )
        figure.tight_layout()
    return figure


def blow_up_map(axis: Axes, evidence: SweepEvidence, activation: str) -> None:
    rows = last_rows(evidence, activation=activation)
    arms, rates = list(dict.fromkeys(row_label(r) for r in rows)), sorted(unique(rows, "lr"))
    shares = np.zeros((len(arms), len(rates)))
    for (i, name), (j, lr) in ((a, b) for a in enumerate(arms) for b in enumerate(rates)):
        found = [r for r in rows if row_label(r) == name and r["lr"] == lr]
        shares[i, j] = sum(map(blown_up, found)) / len(found)
        colour = "white" if shares[i, j] > 0.5 else "black"
        axis.annotate(cell_text(found), (j, i), color=colour, ha="center", va="center", fontsize=9)
    axis.imshow(shares, cmap="OrRd", vmin=0, vmax=1.15, aspect="auto")
    axis.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates])
    axis.set_yticks(range(len(arms)), arms)
    for line in (0.5, 1.5, 1.5 + (len(arms) - 2) / 2):
        axis.axhline(line, color="black", linewidth=1.2 if line < 2 else 0.6)
    axis.set_xlabel("learning rate")
    axis.tick_params(length=0)
    axis.set_title(NETWORKS.get(activation, activation))


def row_label(row: Row) -> str:
    if row["gradient"] == "through":
        return "BN (γ = 1, β = 0)" if row["transform"] == "scale" else "centring, through the mean"
    steps = "each step" if row["every"] == 1 else f"every {row['every']} steps"
    kind = "centring" if row["transform"] == "centre" else "centring, scaling"
    return f"{kind} outside, {steps}"


def cell_text(rows: Sequence[Row]) -> str:
    """Median last loss of the seeds, and how many of them blew up."""
    losses = sorted(float("inf") if r["loss"] is None else r["loss"] for r in rows)
    text = number(losses[len(losses) // 2])
    count = sum(map(blown_up, rows))
    return f"{text}\n✗ {count}/{len(rows)}" if count else text


def number(loss: float) -> str:
    if loss > 1e4:
        return "not finite" if np.isinf(loss) else f"{loss:.0e}"
    return f"{loss:.0f}" if loss >= 10 else f"{loss:.2g}"


# --- how it gets there ---------------------------------------------------------------------------


def shown_rate(evidence: SweepEvidence, activation: str) -> float:
    """The lowest rate at which scaling outside blows up in every seed and BN in none, else the
    highest."""
    rates = sorted(unique(last_rows(evidence, activation=activation), "lr"))
    for lr in rates:
        rows = last_rows(evidence, activation=activation, transform="scale", lr=lr)
        outside = [r for r in rows if r["gradient"] == "outside" and r["every"] == 1]
        through = [r for r in rows if r["gradient"] == "through"]
        if all(map(blown_up, outside)) and not any(map(blown_up, through)):
            return lr
    return rates[-1]


def curves_figure(evidence: SweepEvidence) -> Figure:
    """Loss, bias, weights and σ of the last hidden layer, statistics of each batch, every seed."""
    activations = unique(evidence.where(part="training"), "activation")
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(activations),
            len(CURVES),
            figsize=(16.5, 3.3 * len(activations)),
            squeeze=False,
            layout="constrained",
        )
        for line, activation in zip(axes, activations, strict=True):
            lr = shown_rate(evidence, activation)
            rows = evidence.where(part="training", activation=activation, lr=lr, every=1)
            for axis, (column, (name, limits)) in zip(line, CURVES.items(), strict=True):
                curve_panel(axis, rows, column)
                axis.set_ylabel(name)
                axis.set_ylim(*limits)
            line[0].axhline(LIMIT, color="black", linewidth=0.8)
            line[0].set_title(f"{NETWORKS.get(activation, activation)}, rate {lr:g}", loc="left")
        for axis in axes[-1]:
            axis.set_xlabel("training step")
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
        )
        figure.suptitle(
            f"Last hidden layer, statistics of each mini-batch, {len(seeds(evidence))} seeds; "
            "black: twice the loss of guessing; BN's b stays at 0 to rounding, below the axes; "
            "a line that leaves an axis has diverged"
        )
    return figure


def curve_panel(axis: Axes, rows: Sequence[Row], column: str) -> None:
    through = {"bn": "BN: gradient through the statistics", "centre": "centring, through the mean"}
    for name in ("scale_outside", "centre_outside", "centre", "bn"):
        label, colour, dash = arm(name)
        found = [row for row in rows if variant(row) == name]
        _seed_lines(axis, found, column, through.get(name, label), colour, dash)
    axis.set_yscale("log")
