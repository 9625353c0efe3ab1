"""The metrics of Section 3.3's claims on scale: a value a seed."""

import math
from collections.abc import Mapping
from typing import Any

from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, seeds

Values = list[float | None]  # None: not finite


def training(evidence: SweepEvidence, **wanted: Any) -> list[Row]:
    return evidence.where(part="training", **wanted)


def normalized(evidence: SweepEvidence, **wanted: Any) -> list[Row]:
    """Rows of the exact part with BN."""
    return [r for r in evidence.where(part="exact", **wanted) if r["eps"] is not None]


def output_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _worst(evidence, "output_error")


def jacobian_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _worst(evidence, "jacobian_error")


def gradient_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _worst(evidence, "gradient_error")


def _worst(evidence: SweepEvidence, column: str) -> Values:
    """The largest over a > 0, ε = 0."""
    found = [normalized(evidence, seed=seed, eps=0) for seed in seeds(evidence)]
    return [max(row[column] for row in rows if row["a"] > 0) for rows in found]


def prediction_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    found = [normalized(evidence, seed=seed) for seed in seeds(evidence)]
    return [max(row["prediction_error"] for row in rows) for rows in found]


def probe_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    """|2 · ratio − 1| for a probe at doubled weights, the largest over rates and steps."""
    values: Values = []
    for seed in seeds(evidence):
        ratios = [row["gradient_ratio"] for row in training(evidence, arm="bn", seed=seed)]
        finite = None not in ratios
        values.append(max(abs(r * probe_scale(evidence) - 1) for r in ratios) if finite else None)
    return values


def probe_scale(evidence: SweepEvidence) -> float:
    """The factor that the probe multiplied the weights by."""
    return float(training(evidence)[0]["probe_scale"])


def log_growth(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    rate = max(row["lr"] for row in training(evidence))
    values: Values = []
    for seed in seeds(evidence):
        arm, against = (
            second_half_growth(training(evidence, arm=claim[name], seed=seed, lr=rate))
            for name in ("arm", "against")
        )
        values.append(None if arm is None or against is None else arm - against)
    return values


def second_half_growth(rows: list[Row]) -> float | None:
    """ln of ‖W‖ at the end over ‖W‖ halfway; rows in the order of their steps."""
    half = [row for row in rows if row["t"] <= rows[-1]["t"] / 2][-1]
    if None in (rows[-1]["weight"], half["weight"]):
        return None
    return math.log(rows[-1]["weight"] / half["weight"])
