"""Section 2 in figures and tables: normalisation outside the gradient step."""

import math

from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, gather, read, unique, write
from bnrepro.plots.tables import Table
from experiments.bias_growth.figures import (
    NETWORKS,
    blow_up_figure,
    curves_figure,
    exact_figure,
    row_label,
    shown_rate,
)
from experiments.bias_growth.metrics import (
    blown_up,
    bounded_by_bn,
    exact,
    last_rows,
    output_deviation,
    setting,
)

__all__ = ["FIGURES", "answer", "gather", "read", "summary", "write"]
FIGURES = {"bias": exact_figure, "blow-up": blow_up_figure, "curves": curves_figure}


def summary(evidence: SweepEvidence) -> list[Table]:
    return [exact_table(evidence), training_table(evidence), growth_table(evidence)]


def exact_table(evidence: SweepEvidence) -> list[list[str]]:
    """A row an arm of the exact part, extremes over seeds and steps."""
    rows = [
        [
            "exact, float64",
            "RMS of b at the end",
            "largest deviation of Δb",
            "of x̂",
            "of the loss",
            "last Σ ∂ℓ/∂x̂ / first",
        ]
    ]
    arms = {exact_label(row): row for row in evidence.where(part="exact")}
    keys = ("transform", "gradient", "above")
    for label, row in arms.items():
        rows.append([label, *exact_cells(evidence, {k: row[k] for k in keys})])
    return rows


def exact_label(row: Row) -> str:
    kind = "centring and scaling" if row["transform"] == "scale" else "centring"
    where = "gradient through" if row["gradient"] == "through" else "outside"
    return f"{kind}, {where}" + (", layer above trained too" if row["above"] else "")


def exact_cells(evidence: SweepEvidence, arm: Row) -> list[str]:
    found = exact(evidence, **arm)
    end = max(row["t"] for row in found)
    last = [row["bias"] for row in found if row["t"] == end]
    columns = ("step_deviation", "output_deviation", "loss_deviation")
    worst = [f"{max(row[column] for row in found):.2g}" for column in columns]
    first = {row["seed"]: row["drive"] for row in found if row["t"] == 1}
    ratios = [row["drive"] / first[row["seed"]] for row in found if row["t"] == end]
    return [span(last), *worst, span(ratios)]


def span(values: list[float]) -> str:
    """The range over seeds."""
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def training_table(evidence: SweepEvidence) -> list[list[str]]:
    """Seeds that blew up, for each network, arm and learning rate."""
    rates = sorted(unique(evidence.where(part="training"), "lr"))
    rows = [["seeds that blew up", *(f"rate {lr:g}" for lr in rates)]]
    for activation in unique(evidence.where(part="training"), "activation"):
        found = last_rows(evidence, activation=activation)
        for label in dict.fromkeys(map(row_label, found)):
            own = [row for row in found if row_label(row) == label]
            each = [[row for row in own if row["lr"] == lr] for lr in rates]
            counts = [f"{sum(map(blown_up, group))} of {len(group)}" for group in each]
            rows.append([f"{NETWORKS.get(activation, activation)}: {label}", *counts])
    return rows


def growth_table(evidence: SweepEvidence) -> list[list[str]]:
    """What became of the last hidden layer, at the rate that the curves show; medians over seeds.

    A number that is not finite counts as the largest.
    """
    columns = {"loss": "training loss", "bias": "RMS of b", "weight": "‖W‖", "std": "σ of Wu + b"}
    rows = [["at the end, median seed", *columns.values()]]
    for activation in unique(evidence.where(part="training"), "activation"):
        lr = shown_rate(evidence, activation)
        found = last_rows(evidence, activation=activation, lr=lr)
        for label in dict.fromkeys(map(row_label, found)):
            own = [row for row in found if row_label(row) == label]
            cells = [_median([row[column] for row in own]) for column in columns]
            rows.append([f"{NETWORKS.get(activation, activation)}, rate {lr:g}: {label}", *cells])
    return rows


def _median(values: list[float | None]) -> str:
    middle = sorted(math.inf if v is None else v for v in values)[len(values) // 2]
    return "not finite" if math.isinf(middle) else f"{middle:.3g}"


def answer(evidence: SweepEvidence) -> str:
    """The answer in one line."""
    end = max(row["t"] for row in exact(evidence))
    grown = [r["bias"] for r in exact(evidence, transform="centre", gradient="outside", t=end)]
    change = max(v for v in output_deviation(evidence, {}) if v is not None)
    bn = len(last_rows(evidence, gradient="through", transform="scale"))
    bounded = bounded_by_bn(evidence)
    outside = [row for row in last_rows(evidence, gradient="outside") if setting(row) in bounded]
    kinds = {k: [row for row in outside if row["transform"] == k] for k in ("centre", "scale")}
    blown = {k: f"{sum(map(blown_up, rows))} of {len(rows)}" for k, rows in kinds.items()}
    through = last_rows(evidence, gradient="through", transform="centre")
    control = [row for row in through if setting(row) in bounded]
    return (
        f"With b alone trained its RMS reaches {span(grown)} in {end:,} equal steps while "
        f"output and loss stay to {change:.0e}. Trained in full, BN blows up in "
        f"{bn - len(bounded)} of {bn} runs; at the settings of the others, centring outside the "
        f"gradient step blows up in {blown['centre']} (inside it, through the mean, in "
        f"{sum(map(blown_up, control))} of {len(control)}), centring and scaling in "
        f"{blown['scale']}."
    )
