"""The metrics of Section 3's claims on Algorithm 1, a value a seed, in float64."""

from bnrepro.evidence.evidence import Evidence, grouped, largest_by_seed
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, largest
from bnrepro.evidence.tables import Row

GRADIENTS = {  # in the order of the paper
    "x_hat": "∂ℓ/∂x̂",
    "var": "∂ℓ/∂σ²",
    "mean": "∂ℓ/∂μ",
    "x": "∂ℓ/∂x",
    "gamma": "∂ℓ/∂γ",
    "beta": "∂ℓ/∂β",
}


def identity_error(evidence: Evidence, claim: Claim) -> Values:
    """Largest |y − x| / σ with γ = √(Var + ε) and β = E[x], over m, ε and units."""
    return largest_by_seed(evidence.identity, "error")


def moments_error(evidence: Evidence, claim: Claim) -> Values:
    """The larger of |(1/m) Σ x̂| and |(1/m) Σ x̂² − 1| at ε = 0, over m and units."""
    return [
        largest(max(row["mean"], abs(row["square"] - 1)) for row in rows)
        for rows in grouped(evidence.where("moments", eps=0), "seed").values()
    ]


def gradient_error(evidence: Evidence, claim: Claim) -> Values:
    """Relative distance of a gradient from central differences, at the h where it is smallest.

    The largest over the six gradients, m and ε.
    """
    by_seed = grouped(evidence.gradient, "seed").values()
    return [largest(best_errors(rows)) for rows in by_seed]


def own_difference(evidence: Evidence, claim: Claim) -> Values:
    """Relative change of an example, normalised over its own units, when it is multiplied by a.

    The largest over a.
    """
    return largest_by_seed(evidence.single, "own")


def batch_difference(evidence: Evidence, claim: Claim) -> Values:
    """Relative change of an example, normalised over the examples, when it alone is multiplied.

    The smallest over a.
    """
    by_seed = grouped(evidence.single, "seed").values()
    return [min(row["batch"] for row in rows) for rows in by_seed]


def map_error(evidence: Evidence, claim: Claim) -> Values:
    """Relative distance of a convolutional layer's BN from Algorithm 1 on m·p·q values a map.

    The larger of the output's and the stored variance's, over m and ε.
    """
    return largest_by_seed(evidence.maps, "error", "variance_error")


def best_errors(rows: list[Row]) -> list[float]:
    """For each seed, gradient, m and ε: the error at the h where it is smallest."""
    each_at = grouped(rows, "seed", "of", "m", "eps").values()
    return [min(row["error"] for row in each) for each in each_at]
