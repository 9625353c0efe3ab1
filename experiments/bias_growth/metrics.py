"""The metrics of Section 2's claims: a value a seed."""

import math
from collections.abc import Callable
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values
from bnrepro.evidence.tables import Row

LIMIT = 2 * math.log(10)  # twice the loss of guessing one of ten classes: blown up
NETWORK = ("activation", "transform", "gradient", "every", "lr", "seed")  # what names one


def exact(evidence: Evidence, **values: Any) -> list[Row]:
    """Rows of the runs in which b alone is trained, unless `above` says otherwise."""
    return evidence.where("exact", **{"above": False, **values})


def last_rows(evidence: Evidence, **values: Any) -> list[Row]:
    """Each trained network's last row."""
    rows = evidence.where("training", **values)
    return list({tuple(row[k] for k in NETWORK): row for row in rows}.values())


def blown_up(row: Row) -> bool:
    """Whether a network has blown up, by its last row.

    That is when its mean training loss over the last steps is not finite or above `LIMIT`.
    """
    return row["loss"] is None or row["loss"] > LIMIT


def shown_rate(evidence: Evidence, activation: str) -> float:
    """The lowest rate at which scaling outside blows up in every seed and BN in none.

    The highest rate where there is none.
    """
    rates = sorted(unique(last_rows(evidence, activation=activation), "lr"))
    for lr in rates:
        rows = last_rows(evidence, activation=activation, transform="scale", lr=lr)
        outside = [r for r in rows if r["gradient"] == "outside" and r["every"] == 1]
        through = [r for r in rows if r["gradient"] == "through"]
        if all(map(blown_up, outside)) and not any(map(blown_up, through)):
            return lr
    return rates[-1]


def step_deviation(evidence: Evidence, claim: Claim) -> Values:
    """The largest |Δb − Δb at the first step| over all steps and units.

    It is relative to the largest |Δb| of the first step. Full-batch gradient steps train b alone
    and take the statistics for constants; centring, and centring with scaling.
    """
    return _worst(evidence, "outside", lambda row: row["step_deviation"])


def output_deviation(evidence: Evidence, claim: Claim) -> Values:
    """The largest relative change of x̂ or of the loss, in the runs of `step_deviation`."""
    return _worst(evidence, "outside", lambda r: max(r["output_deviation"], r["loss_deviation"]))


def step_through(evidence: Evidence, claim: Claim) -> Values:
    """The largest |Δb| when the gradient passes through the statistics.

    It is relative to the step that a gradient outside them would take.
    """
    return _worst(evidence, "through", lambda row: row["step_ratio"])


def _worst(evidence: Evidence, gradient: str, value: Callable[[Row], float]) -> Values:
    by_seed = (exact(evidence, seed=seed, gradient=gradient) for seed in all_seeds(evidence))
    return [max(map(value, rows)) for rows in by_seed]


def log_bias_growth(evidence: Evidence, claim: Claim) -> Values:
    """ln of RMS(b) at the end over RMS(b) halfway; None where one of them is not finite.

    All parameters are trained, the statistics of each mini-batch constant, with the claim's
    `transform`, `activation` and `lr`.
    """
    values: Values = []
    cell = {key: claim[key] for key in ("activation", "transform", "lr")}
    for seed in all_seeds(evidence):
        rows = evidence.where("training", gradient="outside", every=1, seed=seed, **cell)
        half = [row for row in rows if row["step"] <= rows[-1]["step"] / 2][-1]
        pair = rows[-1]["bias"], half["bias"]
        values.append(None if None in pair else math.log(pair[0] / pair[1]))
    return values


def blown_up_rates(evidence: Evidence, claim: Claim) -> Values:
    """In how many cells activation × rate constant statistics blow up while BN does not.

    The network centres and scales, its statistics refreshed every `every` steps; BN is the same
    with the gradient through both statistics.
    """
    return [_count(evidence, seed, "scale", every=claim["every"]) for seed in all_seeds(evidence)]


def extra_blown_up_cells(evidence: Evidence, claim: Claim) -> Values:
    """The number of `blown_up_rates`, summed over all `every`, minus the same for centring alone.

    Both count the same cells: those where BN does not blow up.
    """
    return [
        _count(evidence, seed, "scale") - _count(evidence, seed, "centre")
        for seed in all_seeds(evidence)
    ]


def _count(evidence: Evidence, seed: int, transform: str, **values: Any) -> float:
    """Cells that blow up where BN stays bounded."""
    outside = last_rows(evidence, gradient="outside", transform=transform, seed=seed, **values)
    bounded = bounded_by_bn(evidence)
    return float(sum(blown_up(row) and setting(row) in bounded for row in outside))


def bounded_by_bn(evidence: Evidence) -> set[tuple[str, float, int]]:
    """The settings at which BN, the gradient through both statistics, does not blow up."""
    bn = last_rows(evidence, gradient="through", transform="scale")
    return {setting(row) for row in bn if not blown_up(row)}


def setting(row: Row) -> tuple[str, float, int]:
    """Activation, rate and seed: what networks of different arms share."""
    return row["activation"], row["lr"], row["seed"]
