"""The metrics of Section 3.3's conjecture: a value a seed."""

from collections.abc import Mapping
from typing import Any

from bnrepro.evidence.sweep_evidence import SweepEvidence, seeds, unique

Values = list[float | None]  # None: not finite
QUANTILES = tuple(range(0, 101, 5))  # per cent, the columns q0 … q100
NEAR = (0.5, 2.0)  # the reading of "close to 1"


def times(evidence: SweepEvidence) -> list[int]:
    """The steps at which networks were measured."""
    return sorted(unique(evidence.where(part="network"), "t"))


def value(evidence: SweepEvidence, column: str, **wanted: Any) -> float | None:
    """The mean of a column over the layers of one network at one step; None if one is missing.

    Asked for the arm `random`, the yardstick of that width and seed.
    """
    if wanted["arm"] == "random":
        found = evidence.where(part="random", width=wanted["width"], seed=wanted["seed"])
    else:
        found = evidence.where(**{"part": "network", "matrix": "example", **wanted})
    values = [row[column] for row in found]
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def identity_error(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    exact = [evidence.where(part="exact", seed=seed) for seed in seeds(evidence)]
    return [max(row["identity_error"] for row in rows) for rows in exact]


def share_gain(evidence: SweepEvidence, claim: Mapping[str, Any]) -> Values:
    t = times(evidence)[0 if claim["at"] == "first" else -1]
    cell = {"activation": claim["activation"], "width": claim["width"], "t": t}
    values: Values = []
    for seed in seeds(evidence):
        arm, against = (
            value(evidence, "share", arm=claim[key], seed=seed, **cell)
            for key in ("arm", "against")
        )
        values.append(None if arm is None or against is None else arm - against)
    return values
