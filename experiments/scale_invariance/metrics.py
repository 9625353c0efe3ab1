"""The metrics of Section 3.3's claims on the scale of weights, a value a seed.

Errors are relative to the norm of what is compared, in float64.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.statistics import Values
from bnrepro.evidence.tables import Row


def output_error(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """BN((aW)u) against BN(Wu) at ε = 0, the largest error over a > 0."""
    return largest_errors(evidence, "output_error")


def jacobian_error(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """∂BN((aW)u)/∂u against ∂BN(Wu)/∂u, all entries, at ε = 0: the largest error over a > 0."""
    return largest_errors(evidence, "jacobian_error")


def gradient_error(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """∂BN((aW)u)/∂(aW) against (1/a) ∂BN(Wu)/∂W, all entries, at ε = 0: the largest over a > 0."""
    return largest_errors(evidence, "gradient_error")


def prediction_error(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """BN_ε((aW)u) and both derivatives against those of sign(a) BN_{ε/a²}(Wu).

    The largest error of the three over every ε and both signs of a.
    """
    found = [normalized_rows(evidence, seed=seed) for seed in all_seeds(evidence)]
    return [max(row["prediction_error"] for row in rows) for rows in found]


def probe_error(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """|a · ratio − 1| in training with BN, the largest over rates and recorded steps.

    `ratio` is the norm of the hidden weights' gradient at a times the weights, over the norm at the
    weights themselves; a = 2 in the claim.
    """
    values: Values = []
    for seed in all_seeds(evidence):
        rows = evidence.where("training", arm="bn", seed=seed)
        ratios = [row["gradient_ratio"] for row in rows]
        finite = None not in ratios
        values.append(max(abs(r * probe_scale(evidence) - 1) for r in ratios) if finite else None)
    return values


def log_growth(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """ln of the growth of the hidden weights' norm, the claim's `arm` minus `against`.

    Growth is over the second half of the run at the highest rate; both arms have the same initial
    weights and the same data.
    """
    rate = max(row["lr"] for row in evidence.training)
    values: Values = []
    for seed in all_seeds(evidence):
        arm, against = (
            second_half_growth(evidence.where("training", arm=claim[name], seed=seed, lr=rate))
            for name in ("arm", "against")
        )
        values.append(None if arm is None or against is None else arm - against)
    return values


def second_half_growth(rows: Sequence[Row]) -> float | None:
    """ln of ‖W‖ at the end over ‖W‖ halfway; rows in the order of their steps."""
    half = [row for row in rows if row["step"] <= rows[-1]["step"] / 2][-1]
    if None in (rows[-1]["weight"], half["weight"]):
        return None
    return math.log(rows[-1]["weight"] / half["weight"])


def largest_errors(evidence: Evidence, column: str) -> Values:
    """The largest of a column over a > 0 at ε = 0, for each seed."""
    found = [normalized_rows(evidence, seed=seed, eps=0) for seed in all_seeds(evidence)]
    return [max(row[column] for row in rows if row["a"] > 0) for rows in found]


def normalized_rows(evidence: Evidence, **values: Any) -> list[Row]:
    """Rows of the exact part with BN."""
    return [row for row in evidence.where("exact", **values) if row["eps"] is not None]


def probe_scale(evidence: Evidence) -> float:
    """The factor on the weights at which the probe took the second gradient."""
    return float(evidence.training[0]["probe_scale"])
