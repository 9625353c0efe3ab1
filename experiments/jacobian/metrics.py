"""The metrics of Section 3.3's conjecture, a value a seed, and how its evidence is read.

J = D_z⁻¹ (∂z/∂x) D_x is the Jacobian between the inputs x, z of two consecutive nonlinearities, D
the units' standard deviations over the probe images, with frozen statistics.
"""

from operator import sub
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, largest_by_seed, unique
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, combine, mean
from bnrepro.evidence.tables import Row

QUANTILES = tuple(range(0, 101, 5))  # per cent, the columns q0 … q100
NEAR = (0.5, 2.0)  # our reading of "close to 1"


def measured_steps(evidence: Evidence) -> list[int]:
    """The steps at which networks were measured."""
    return sorted(unique(evidence.network, "step"))


def arm_rows(evidence: Evidence, arm: str, width: int, **cell: Any) -> list[Row]:
    """The rows of an arm's networks; of the arm `random` those of random matrices."""
    if arm == "random":
        return evidence.where("random", width=width)
    return evidence.where("network", **{"matrix": "example", "arm": arm, "width": width, **cell})


def layer_means(evidence: Evidence, column: str, **cell: Any) -> Values:
    """The mean of a column over the layers of a network at one step, a value a seed."""
    by_seed = grouped(arm_rows(evidence, **cell), "seed")
    return [mean(row[column] for row in by_seed.get(seed, [])) for seed in all_seeds(evidence)]


def identity_error(evidence: Evidence, claim: Claim) -> Values:
    """The largest entry of |J Jᵀ − I| over all widths, for a linear layer.

    Full whitening gives its normalised input x̂ and output ẑ unit covariance.
    """
    return largest_by_seed(evidence.exact, "identity_error")


def share_gain(evidence: Evidence, claim: Claim) -> Values:
    """The share of J's singular values within [½, 2], the claim's `arm` minus `against`.

    A network's share is the mean over probe images and layers at the first or last measured step
    (`at`); both arms have the same initial weights and the same data. `against: random` compares
    with matrices of N(0, 1/n) entries.
    """
    step = measured_steps(evidence)[0 if claim["at"] == "first" else -1]
    cell = {"activation": claim["activation"], "width": claim["width"], "step": step}
    arms = (claim["arm"], claim["against"])
    return combine(sub, *(layer_means(evidence, "share", arm=arm, **cell) for arm in arms))
