"""The metrics of Section 2's claims: a value a seed."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, seeds

Values = list[float | None]  # None: not finite
LIMIT = 2 * math.log(10)  # twice the loss of guessing one of ten classes: blown up


def exact(evidence: SweepEvidence, **wanted: Any) -> list[Row]:
    """Rows of the runs in which b alone is trained, unless `above` says otherwise."""
    return evidence.where(**{"part": "exact", "above": False, **wanted})


def last_rows(evidence: SweepEvidence, **wanted: Any) -> list[Row]:
    """Each trained network's last row."""
    last: dict[tuple[Any, ...], Row] = {}
    for row in evidence.where(part="training", **wanted):
        key = tuple(row[k] for k in ("activation", "transform", "gradient", "every", "lr", "seed"))
        last[key] = row
    return list(last.values())


def blown_up(row: Row) -> bool:
    """Whether a network's last row says that it blew up."""
    return row["loss"] is None or row["loss"] > LIMIT


def step_deviation(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _worst(evidence, "outside", lambda row: row["step_deviation"])


def output_deviation(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _worst(evidence, "outside", lambda r: max(r["output_deviation"], r["loss_deviation"]))


def step_through(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return _worst(evidence, "through", lambda row: row["step_ratio"])


def _worst(evidence: SweepEvidence, gradient: str, value: Callable[[Row], float]) -> Values:
    by_seed = (exact(evidence, seed=seed, gradient=gradient) for seed in seeds(evidence))
    return [max(map(value, rows)) for rows in by_seed]


def log_bias_growth(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    values: Values = []
    cell = {key: claim[key] for key in ("activation", "transform", "lr")}
    for seed in seeds(evidence):
        rows = evidence.where(part="training", gradient="outside", every=1, seed=seed, **cell)
        half = [row for row in rows if row["t"] <= rows[-1]["t"] / 2][-1]
        pair = rows[-1]["bias"], half["bias"]
        values.append(None if None in pair else math.log(pair[0] / pair[1]))
    return values


def blown_up_rates(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [_count(evidence, seed, "scale", every=claim["every"]) for seed in seeds(evidence)]


def extra_blown_up_cells(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    return [
        _count(evidence, seed, "scale") - _count(evidence, seed, "centre")
        for seed in seeds(evidence)
    ]


def _count(evidence: SweepEvidence, seed: int, transform: str, **wanted: Any) -> float:
    """Cells that blow up where BN stays bounded."""
    outside = last_rows(evidence, gradient="outside", transform=transform, seed=seed, **wanted)
    bounded = bounded_by_bn(evidence)
    return float(sum(blown_up(row) and setting(row) in bounded for row in outside))


def bounded_by_bn(evidence: SweepEvidence) -> set[tuple[str, float, int]]:
    """The settings at which BN, the gradient through both statistics, does not blow up."""
    bn = last_rows(evidence, gradient="through", transform="scale")
    return {setting(row) for row in bn if not blown_up(row)}


def setting(row: Row) -> tuple[str, float, int]:
    """What runs of different arms share."""
    return row["activation"], row["lr"], row["seed"]
