"""The metrics of Section 3.1's claims."""

from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, seeds

Values = list[float | None]  # None: not finite
PAPER_BATCH = 32  # 4.2: the smallest mini-batch that the paper trains with


def sizes(evidence: SweepEvidence) -> list[int]:
    """The mini-batch sizes that networks were trained with."""
    return sorted({row["m"] for row in evidence.where(part="moments")})


def accuracies(evidence: SweepEvidence, **wanted: Any) -> dict[int, Any]:
    """Last test accuracy by seed; `wanted` names m and statistics."""
    rows = evidence.where(part="accuracy", **wanted)
    last = max(row["examples"] for row in rows)
    return {row["seed"]: row["accuracy"] for row in rows if row["examples"] == last}


def company_difference(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    rows = evidence.where(part="company")
    fixed = [row for row in rows if row["statistics"] != "batch"]
    return [_most([row["difference"], row["difference_alone"]]) for row in fixed]


def enumeration_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [abs(row["ratio_unbiased"] - 1) for row in evidence.where(part="enumeration")]


def variance_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    rows = evidence.where(part="moments", layer="hidden1")
    return _farthest_from_one(evidence, rows, "ratio_unbiased")


def x_hat_variance_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    rows = [row for row in evidence.where(part="x_hat") if row["m"] >= PAPER_BATCH]
    return _farthest_from_one(evidence, rows, "x_hat_var")


def _farthest_from_one(evidence: SweepEvidence, rows: Sequence[Row], column: str) -> Values:
    own = [[row[column] for row in rows if row["seed"] == seed] for seed in seeds(evidence)]
    return [_most([None if v is None else abs(v - 1) for v in values]) for values in own]


def _most(values: Values) -> float | None:
    """The largest; None when one of them is not finite."""
    known = [v for v in values if v is not None]
    return max(known) if len(known) == len(values) else None


def moving_gap(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    judged = [m for m in sizes(evidence) if m >= PAPER_BATCH]
    gaps = [gap(evidence, m, "moving", "population") for m in judged]
    return [max(abs(g[seed]) for g in gaps) for seed in seeds(evidence)]


def gap(evidence: SweepEvidence, m: int, kind: str, other: str) -> dict[int, float]:
    """Last accuracy with one kind of statistics minus that with another, by seed."""
    a, b = (accuracies(evidence, m=m, statistics=name) for name in (kind, other))
    return {seed: a[seed] - b[seed] for seed in a}


def lowest_accuracy(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    every = [accuracies(evidence, m=m, statistics="population") for m in sizes(evidence)]
    return [min(values[seed] for values in every) for seed in seeds(evidence)]


def factor_gain(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    gains = gap(evidence, min(sizes(evidence)), "population", "population_biased")
    return [gains[seed] for seed in seeds(evidence)]


def fold_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [row["error_in_epsilons"] for row in evidence.where(part="fold")]
