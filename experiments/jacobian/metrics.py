"""The metrics of Section 3.3's conjecture, a value a seed, and how its evidence is read.

J = D_z⁻¹ (∂z/∂x) D_x is the Jacobian between the inputs x, z of two consecutive nonlinearities, D
the units' standard deviations over the probe images, with frozen statistics.
"""

from collections.abc import Mapping
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Values

QUANTILES = tuple(range(0, 101, 5))  # per cent, the columns q0 … q100
NEAR = (0.5, 2.0)  # our reading of "close to 1"


def measured_steps(evidence: Evidence) -> list[int]:
    """The steps at which networks were measured."""
    return sorted(unique(evidence.network, "step"))


def layer_mean(evidence: Evidence, column: str, **cell: Any) -> float | None:
    """The mean of a column over the layers of one network at one step; None if one is missing.

    For the arm `random` it is the value of random matrices of that width and seed.
    """
    if cell["arm"] == "random":
        rows = evidence.where("random", width=cell["width"], seed=cell["seed"])
    else:
        rows = evidence.where("network", **{"matrix": "example", **cell})
    values = [row[column] for row in rows]
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def identity_error(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """The largest entry of |J Jᵀ − I| over all widths, for a linear layer.

    Full whitening gives its normalised input x̂ and output ẑ unit covariance.
    """
    seeds = [evidence.where("exact", seed=seed) for seed in all_seeds(evidence)]
    return [max(row["identity_error"] for row in rows) for rows in seeds]


def share_gain(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """The share of J's singular values within [½, 2], the claim's `arm` minus `against`.

    A network's share is the mean over probe images and layers at the first or last measured step
    (`at`); both arms have the same initial weights and the same data. `against: random` compares
    with matrices of N(0, 1/n) entries.
    """
    step = measured_steps(evidence)[0 if claim["at"] == "first" else -1]
    cell = {"activation": claim["activation"], "width": claim["width"], "step": step}
    values: Values = []
    for seed in all_seeds(evidence):
        arm, against = (
            layer_mean(evidence, "share", arm=claim[key], seed=seed, **cell)
            for key in ("arm", "against")
        )
        values.append(None if arm is None or against is None else arm - against)
    return values
