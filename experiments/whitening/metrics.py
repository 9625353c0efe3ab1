"""The metrics of the claims on whitening: a value a seed, and one for the cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.evidence.steps import Curve, steps_to
from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, unique

Values = list[float | None]  # None: the target was never reached
FIT_FROM = 256  # units: exponents are fitted on this width and above


def batches(evidence: SweepEvidence) -> list[int]:
    """The sizes of the mini-batches: m < d, m = 4d, and a larger one."""
    return sorted(unique(evidence.where(part="training"), "batch"))


def main_batch(evidence: SweepEvidence) -> int:
    """The mini-batch of four times the width, on which the claims are judged."""
    return int(evidence.where(part="step_cost")[0]["batch"])


def main_rows(evidence: SweepEvidence, part: str, **wanted: Any) -> list[Row]:
    """Rows at the main mini-batch; of whitening those whose ridge is BN's ε."""
    eps = evidence.where(part=part, arm="bn")[0]["ridge"]
    return evidence.where(part=part, batch=main_batch(evidence), ridge=eps, **wanted)


def seeds(evidence: SweepEvidence) -> list[int]:
    return sorted(unique(evidence.where(part="training"), "seed"))


def curve(evidence: SweepEvidence, arm: str, seed: int) -> Curve:
    """Test accuracy over steps of a network at the main mini-batch."""
    rows = main_rows(evidence, "training", arm=arm, seed=seed)
    return [(row["t"], row["accuracy"]) for row in rows if row["accuracy"] is not None]


def steps_to_target(
    evidence: SweepEvidence, arm: str, seed: int, share: float = 1.0
) -> float | None:
    """Steps to `share` of the best test accuracy that the seed's network has with no transform."""
    plain = curve(evidence, "baseline", seed)
    goal = share * max((a for _, a in plain), default=math.inf)
    return steps_to(curve(evidence, arm, seed), goal)


def step_seconds(evidence: SweepEvidence, arm: str) -> float:
    """Seconds of one network's training step at the main mini-batch."""
    return float(evidence.where(part="step_cost", arm=arm)[0]["seconds"])


def singular_ratio(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [r["ratio"] for r in evidence.where(part="spectrum", batch=batches(evidence)[0])]


def log_steps_ratio(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _log_ratio(evidence, claim, {claim["arm"]: 1.0, claim["against"]: 1.0})


def log_seconds_ratio(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    arms = (claim["arm"], claim["against"])
    return _log_ratio(evidence, claim, {arm: step_seconds(evidence, arm) for arm in arms})


def _log_ratio(
    evidence: SweepEvidence, claim: Mapping[str, Any], unit: Mapping[str, float]
) -> Values:
    values: Values = []
    for seed in seeds(evidence):
        arm, against = (steps_to_target(evidence, claim[k], seed) for k in ("arm", "against"))
        if arm is None or against is None:
            values.append(None)
        else:
            ratio = against * unit[claim["against"]] / (arm * unit[claim["arm"]])
            values.append(math.log(ratio))
    return values


def cost_exponent_gap(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [cost_exponent(evidence, "whiten") - cost_exponent(evidence, "bn")]


def cost_exponent(evidence: SweepEvidence, arm: str, column: str = "seconds") -> float:
    """p of seconds ∝ dᵖ, by least squares on the logarithms, d ≥ 256."""
    found = [r for r in evidence.where(part="cost", arm=arm) if r["width"] >= FIT_FROM]
    return slope([math.log(r["width"]) for r in found], [math.log(r[column]) for r in found])


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    products = ((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return math.fsum(products) / math.fsum((a - mean_x) ** 2 for a in x)
