"""The metrics of Section 3.3's claims on the scale of weights, a value a seed.

Errors are relative to the norm of what is compared, in float64.
"""

from operator import sub
from typing import Any

from bnrepro.evidence.evidence import Evidence, grouped, largest_by_seed
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, combine, largest
from bnrepro.evidence.steps import second_half_growth
from bnrepro.evidence.tables import Row

ERRORS = ("output_error", "jacobian_error", "gradient_error")


def output_error(evidence: Evidence, claim: Claim) -> Values:
    """BN((aW)u) against BN(Wu) at ε = 0, the largest error over a > 0."""
    return largest_errors(evidence, "output_error")


def jacobian_error(evidence: Evidence, claim: Claim) -> Values:
    """∂BN((aW)u)/∂u against ∂BN(Wu)/∂u, all entries, at ε = 0: the largest error over a > 0."""
    return largest_errors(evidence, "jacobian_error")


def gradient_error(evidence: Evidence, claim: Claim) -> Values:
    """∂BN((aW)u)/∂(aW) against (1/a) ∂BN(Wu)/∂W, all entries, at ε = 0: the largest over a > 0."""
    return largest_errors(evidence, "gradient_error")


def prediction_error(evidence: Evidence, claim: Claim) -> Values:
    """BN_ε((aW)u) and both derivatives against those of sign(a) BN_{ε/a²}(Wu).

    The largest error of the three over every ε and both signs of a.
    """
    return largest_by_seed(normalized_rows(evidence), "prediction_error")


def probe_error(evidence: Evidence, claim: Claim) -> Values:
    """|a · ratio − 1| in training with BN, the largest over rates and recorded steps.

    `ratio` is the norm of the hidden weights' gradient at a times the weights, over the norm at the
    weights themselves; a = 2 in the claim.
    """
    a, by_seed = probe_scale(evidence), grouped(evidence.where("training", arm="bn"), "seed")
    ratios = ([row["gradient_ratio"] for row in rows] for rows in by_seed.values())
    return [largest(combine(lambda ratio: abs(ratio * a - 1), each)) for each in ratios]


def log_growth(evidence: Evidence, claim: Claim) -> Values:
    """ln of the growth of the hidden weights' norm, the claim's `arm` minus `against`.

    Growth is over the second half of the run at the highest rate; both arms have the same initial
    weights and the same data.
    """
    return combine(sub, *(growths(evidence, claim[name]) for name in ("arm", "against")))


def growths(evidence: Evidence, arm: str) -> Values:
    """ln of the growth of ‖W‖ over the second half of the run at the highest rate, by seed."""
    lr = max(row["lr"] for row in evidence.training)
    by_seed = grouped(evidence.where("training", arm=arm, lr=lr), "seed").values()
    return [second_half_growth(rows, "weight") for rows in by_seed]


def largest_errors(evidence: Evidence, column: str) -> Values:
    """The largest of a column over a > 0 at ε = 0, for each seed."""
    rows = [row for row in normalized_rows(evidence, eps=0) if row["a"] > 0]
    return largest_by_seed(rows, column)


def normalized_rows(evidence: Evidence, **values: Any) -> list[Row]:
    """Rows of the exact part with BN."""
    return [row for row in evidence.where("exact", **values) if row["eps"] is not None]


def probe_scale(evidence: Evidence) -> float:
    """The factor on the weights at which the probe took the second gradient."""
    return float(evidence.training[0]["probe_scale"])
