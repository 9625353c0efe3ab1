"""Tables of Section 2 and what came out: normalisation outside the gradient step."""

import math

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from experiments.bias_growth.metrics import (
    blown_up,
    bounded_by_bn,
    exact,
    last_rows,
    output_deviation,
    setting,
    shown_rate,
)

NETWORKS = {"sigmoid": "sigmoid network", "relu": "ReLU network"}


def tables(evidence: Evidence) -> list[Table]:
    """The exact part, where training blew up, and what became of the last hidden layer."""
    return [exact_table(evidence), training_table(evidence), growth_table(evidence)]


def exact_table(evidence: Evidence) -> Table:
    """A row an arm of the exact part, extremes over seeds and steps."""
    deviations = ["largest deviation of Δb", "of x̂", "of the loss"]
    header = ["exact, float64", "RMS of b at the end", *deviations, "last Σ ∂ℓ/∂x̂ / first"]
    arms = {exact_label(row): row for row in evidence.exact}
    keys = ("transform", "gradient", "above")
    each = {label: {k: row[k] for k in keys} for label, row in arms.items()}
    return [header, *([label, *exact_cells(evidence, arm)] for label, arm in each.items())]


def exact_label(row: Row) -> str:
    """An arm of the exact part in words."""
    kind = "centring and scaling" if row["transform"] == "scale" else "centring"
    where = "gradient through" if row["gradient"] == "through" else "outside"
    return f"{kind}, {where}" + (", layer above trained too" if row["above"] else "")


def exact_cells(evidence: Evidence, arm: Row) -> list[str]:
    """One arm's numbers for `exact_table`."""
    rows = exact(evidence, **arm)
    end = max(row["step"] for row in rows)
    last = [row["bias"] for row in rows if row["step"] == end]
    columns = ("step_deviation", "output_deviation", "loss_deviation")
    worst = [f"{max(row[column] for row in rows):.2g}" for column in columns]
    first = {row["seed"]: row["drive"] for row in rows if row["step"] == 1}
    ratios = [row["drive"] / first[row["seed"]] for row in rows if row["step"] == end]
    return [span(last), *worst, span(ratios)]


def span(values: list[float]) -> str:
    """The range over seeds."""
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def arm_label(row: Row) -> str:
    """An arm of the training part in words."""
    if row["gradient"] == "through":
        return "BN (γ = 1, β = 0)" if row["transform"] == "scale" else "centring, through the mean"
    steps = "each step" if row["every"] == 1 else f"every {row['every']} steps"
    kind = "centring" if row["transform"] == "centre" else "centring, scaling"
    return f"{kind} outside, {steps}"


def by_arm(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows of the training part by their arm's label."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(arm_label(row), []).append(row)
    return groups


def training_table(evidence: Evidence) -> Table:
    """Seeds that blew up, for each network, arm and learning rate."""
    rates = sorted(unique(evidence.training, "lr"))
    table = [["seeds that blew up", *(f"rate {lr:g}" for lr in rates)]]
    for activation in unique(evidence.training, "activation"):
        for label, rows in by_arm(last_rows(evidence, activation=activation)).items():
            each = [[row for row in rows if row["lr"] == lr] for lr in rates]
            counts = [f"{sum(map(blown_up, group))} of {len(group)}" for group in each]
            table.append([f"{NETWORKS[activation]}: {label}", *counts])
    return table


def growth_table(evidence: Evidence) -> Table:
    """What became of the last hidden layer, at the rate that the curves show; medians over seeds.

    A number that is not finite counts as the largest.
    """
    columns = {"loss": "training loss", "bias": "RMS of b", "weight": "‖W‖", "std": "σ of Wu + b"}
    table = [["at the end, median seed", *columns.values()]]
    for activation in unique(evidence.training, "activation"):
        lr = shown_rate(evidence, activation)
        network = f"{NETWORKS[activation]}, rate {lr:g}"
        for label, rows in by_arm(last_rows(evidence, activation=activation, lr=lr)).items():
            cells = [_median([row[column] for row in rows]) for column in columns]
            table.append([f"{network}: {label}", *cells])
    return table


def _median(values: list[float | None]) -> str:
    middle = sorted(math.inf if v is None else v for v in values)[len(values) // 2]
    return "not finite" if math.isinf(middle) else f"{middle:.3g}"


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    end = max(row["step"] for row in exact(evidence))
    grown = [r["bias"] for r in exact(evidence, transform="centre", gradient="outside", step=end)]
    change = max(v for v in output_deviation(evidence, {}) if v is not None)
    bn = len(last_rows(evidence, gradient="through", transform="scale"))
    diverged = bn - len(bounded_by_bn(evidence))
    centre = _blown(evidence, "centre", "outside")
    through = _blown(evidence, "centre", "through")
    scale = _blown(evidence, "scale", "outside")
    return (
        f"With b alone trained its RMS reaches {span(grown)} in {end:,} equal steps while "
        f"output and loss stay to {change:.0e}. Trained in full, BN blows up in "
        f"{diverged} of {bn} runs; at the settings of the others, centring outside the "
        f"gradient step blows up in {centre} (inside it, through the mean, in "
        f"{through}), centring and scaling in {scale}."
    )


def _blown(evidence: Evidence, transform: str, gradient: str) -> str:
    """How many networks blew up at the settings at which BN does not."""
    bounded = bounded_by_bn(evidence)
    rows = last_rows(evidence, transform=transform, gradient=gradient)
    counted = [row for row in rows if setting(row) in bounded]
    return f"{sum(map(blown_up, counted))} of {len(counted)}"
