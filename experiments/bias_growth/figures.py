"""Figures of Section 2: exact growth of the bias, where training blows up, and how."""

from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.tables import Row
from bnrepro.plots.style import RC, Arm, arm
from experiments.bias_growth.metrics import LIMIT, blown_up, exact, last_rows, shown_rate
from experiments.bias_growth.tables import NETWORKS, answer, by_arm, tables

__all__ = ["FIGURES", "answer", "tables"]
CURVES = {  # what is drawn, its name and the axis; a line that leaves the axis has diverged
    "loss": ("training loss", (0.1, 300)),
    "bias": ("bias b, RMS over units", (1e-3, 100)),
    "drift": ("|Δb| a step / lr, RMS", (1e-5, 1)),
    "weight": ("weights, ‖W‖", (8, 300)),
    "std": ("σ of Wu + b", (0.02, 100)),
}
THROUGH = {"bn": "BN: gradient through the statistics", "centre": "centring, through the mean"}


def look(row: Row) -> Arm:
    """How a row's arm is drawn."""
    if row["gradient"] == "through":
        return arm("bn" if row["transform"] == "scale" else "centre")
    return arm(f"{row['transform']}_outside")


def seed_lines(axis: Axes, rows: Sequence[Row], column: str, style: Arm) -> None:
    """Draw a column over steps, every seed a line."""
    for number, seed in enumerate(unique(rows, "seed")):
        line = [row for row in rows if row["seed"] == seed]
        values = [np.nan if row[column] is None else row[column] for row in line]
        axis.plot(
            [row["step"] for row in line],
            values,
            color=style.colour,
            linestyle=style.dash,
            linewidth=1.3,
            label=None if number else style.label,
        )


# --- exact ---------------------------------------------------------------------------------------


def exact_figure(evidence: Evidence) -> Figure:
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


def exact_panel(axis: Axes, evidence: Evidence, column: str) -> None:
    """Draw one column of the exact part."""
    for name in ("scale_outside", "centre_outside", "bn"):
        style = arm(name)
        rows = [row for row in exact(evidence) if look(row) == style]
        text = THROUGH["bn"] if name == "bn" else f"{style.label}, b alone"
        seed_lines(axis, rows, column, style._replace(label=text))
    above = Arm("centring outside, layer above trained too", "#555555", (0, (3, 1, 1, 1)))
    seed_lines(axis, evidence.where("exact", above=True), column, above)


# --- where it blows up ---------------------------------------------------------------------------


def blow_up_figure(evidence: Evidence) -> Figure:
    """A map a network: arms × rates, the share of seeds that blew up and the median last loss."""
    activations = unique(evidence.training, "activation")
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


def blow_up_map(axis: Axes, evidence: Evidence, activation: str) -> None:
    """Draw one network's map."""
    rows = last_rows(evidence, activation=activation)
    arms, rates = by_arm(rows), sorted(unique(rows, "lr"))
    shares = np.zeros((len(arms), len(rates)))
    for (i, name), (j, lr) in product(enumerate(arms), enumerate(rates)):
        found = [row for row in arms[name] if row["lr"] == lr]
        shares[i, j] = sum(map(blown_up, found)) / len(found)
        colour = "white" if shares[i, j] > 0.5 else "black"
        axis.annotate(cell_text(found), (j, i), color=colour, ha="center", va="center", fontsize=9)
    axis.imshow(shares, cmap="OrRd", vmin=0, vmax=1.15, aspect="auto")
    axis.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates])
    axis.set_yticks(range(len(arms)), list(arms))
    for line in (0.5, 1.5, 1.5 + (len(arms) - 2) / 2):
        axis.axhline(line, color="black", linewidth=1.2 if line < 2 else 0.6)
    axis.set_xlabel("learning rate")
    axis.tick_params(length=0)
    axis.set_title(NETWORKS[activation])


def cell_text(rows: Sequence[Row]) -> str:
    """Median last loss of the seeds, and how many of them blew up."""
    losses = sorted(float("inf") if r["loss"] is None else r["loss"] for r in rows)
    text = number(losses[len(losses) // 2])
    count = sum(map(blown_up, rows))
    return f"{text}\n✗ {count}/{len(rows)}" if count else text


def number(loss: float) -> str:
    """A loss in few digits."""
    if loss > 1e4:
        return "not finite" if np.isinf(loss) else f"{loss:.0e}"
    return f"{loss:.0f}" if loss >= 10 else f"{loss:.2g}"


# --- how it gets there ---------------------------------------------------------------------------


def curves_figure(evidence: Evidence) -> Figure:
    """Loss, bias, weights and σ of the last hidden layer, statistics of each batch, every seed."""
    activations = unique(evidence.training, "activation")
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
            rows = evidence.where("training", activation=activation, lr=lr, every=1)
            for axis, (column, (name, limits)) in zip(line, CURVES.items(), strict=True):
                curve_panel(axis, rows, column)
                axis.set_ylabel(name)
                axis.set_ylim(*limits)
            line[0].axhline(LIMIT, color="black", linewidth=0.8)
            line[0].set_title(f"{NETWORKS[activation]}, rate {lr:g}", loc="left")
        for axis in axes[-1]:
            axis.set_xlabel("training step")
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
        )
        figure.suptitle(
            f"Last hidden layer, statistics of each mini-batch, {len(all_seeds(evidence))} seeds; "
            "black: twice the loss of guessing; BN's b stays at 0 to rounding, below the axes; "
            "a line that leaves an axis has diverged"
        )
    return figure


def curve_panel(axis: Axes, rows: Sequence[Row], column: str) -> None:
    """Draw one column of the training part."""
    for name in ("scale_outside", "centre_outside", "centre", "bn"):
        style = arm(name)
        found = [row for row in rows if look(row) == style]
        seed_lines(axis, found, column, style._replace(label=THROUGH.get(name, style.label)))
    axis.set_yscale("log")


FIGURES = {"blow-up": blow_up_figure, "bias": exact_figure, "curves": curves_figure}
