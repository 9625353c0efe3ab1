"""The metrics of Section 3.2's claims."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, seeds

Values = list[float | None]  # None: not finite
JUDGED = ("hidden2", "hidden3")  # their u is another nonlinearity's output


def stops(evidence: SweepEvidence) -> list[int]:
    return sorted({row["steps"] for row in evidence.where(part="shape")})


def mean(values: Sequence[float | None]) -> float | None:
    """None when one of them is not finite, or when there is none."""
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def shape_mean(
    evidence: SweepEvidence, column: str, what: str, seed: int, activation: str, arm: str = "none"
) -> float | None:
    """Mean over the judged layers and the stops after the first."""
    wanted = {"part": "shape", "what": what, "seed": seed, "activation": activation, "arm": arm}
    first = stops(evidence)[0]
    rows = [r for r in evidence.where(**wanted) if r["layer"] in JUDGED and r["steps"] > first]
    return mean([row[column] for row in rows])


def _log_ratio(evidence: SweepEvidence, claim: Mapping[str, Any], column: str) -> Values:
    values: Values = []
    for seed in seeds(evidence):
        u, x = (shape_mean(evidence, column, w, seed, claim["activation"]) for w in "ux")
        values.append(math.log(x / u) if u and x else None)
    return values


def log_gaussian_distance(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _log_ratio(evidence, claim, "gaussian_distance")


def log_skewness(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _log_ratio(evidence, claim, "absolute_skewness")


def log_shape_change(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _log_ratio(evidence, claim, "shape_change")


def zeros_gap(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    values: Values = []
    for seed in seeds(evidence):
        u, x = (shape_mean(evidence, "zeros", w, seed, claim["activation"]) for w in "ux")
        values.append(None if u is None or x is None else u - x)
    return values


def last_rows(evidence: SweepEvidence, activation: str, arm: str) -> list[Row]:
    """Accuracy rows at the end of training, of every rate and seed."""
    rows = evidence.where(part="accuracy", activation=activation, arm=arm)
    last = max((row["steps"] for row in rows), default=0)
    return [row for row in rows if row["steps"] == last]


def best_rate(evidence: SweepEvidence, activation: str, arm: str) -> float:
    """The rate with the lowest mean training loss; one where a seed diverged comes last."""
    rows = last_rows(evidence, activation, arm)
    losses = {
        lr: mean([row["training_loss"] for row in rows if row["lr"] == lr])
        for lr in sorted({row["lr"] for row in rows})
    }
    return min(losses, key=lambda lr: math.inf if (loss := losses[lr]) is None else loss)


def best_accuracy(evidence: SweepEvidence, activation: str, arm: str) -> dict[int, float]:
    """Last test accuracy by seed at the arm's own best rate."""
    lr = best_rate(evidence, activation, arm)
    rows = last_rows(evidence, activation, arm)
    return {row["seed"]: row["accuracy"] for row in rows if row["lr"] == lr}


def accuracy_gain(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    arm, against = (
        best_accuracy(evidence, claim["activation"], claim[key]) for key in ("arm", "against")
    )
    return [arm[seed] - against[seed] for seed in seeds(evidence)]


def bias_gradient(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [row["gradient"] for row in evidence.where(part="bias")]


def map_equivariance(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [row["change"] for row in evidence.where(part="shift", kind="map")]


def activation_equivariance(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    rows = evidence.where(part="shift", kind="activation")
    return [row["change"] for row in rows if row["setting"] != "alike"]


def pairs_per_map(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    rows = evidence.where(part="pairs", kind="map")
    return [abs(row["numbers"] / 2 / row["maps"] - 1) for row in rows]
