"""The metrics of Section 3.2's claims: a value a seed, or a value a measurement where the criterion
is `over: every`.

u is a hidden layer's input and x = Wu + b the nonlinearity's, both in plain networks, that is,
without BN. Measures of their distributions are means over units, over hidden layers 2 and 3 and
over the recorded steps after the first.
"""

import math
from collections.abc import Sequence

from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values
from bnrepro.evidence.tables import Row

JUDGED = ("hidden2", "hidden3")  # their u is another nonlinearity's output


def log_gaussian_distance(evidence: Evidence, claim: Claim) -> Values:
    """ln of the ratio of x to u of the distance to a Gaussian.

    Kolmogorov's distance of the standardised values to N(0, 1).
    """
    return _log_ratio(evidence, claim, "gaussian_distance")


def log_skewness(evidence: Evidence, claim: Claim) -> Values:
    """ln of the ratio of x to u of |skewness|."""
    return _log_ratio(evidence, claim, "absolute_skewness")


def log_shape_change(evidence: Evidence, claim: Claim) -> Values:
    """ln of the ratio of x to u of the change of shape.

    The Wasserstein distance between the standardised values at one recorded step and at the next.
    """
    return _log_ratio(evidence, claim, "shape_change")


def zeros_gap(evidence: Evidence, claim: Claim) -> Values:
    """The share of exact zeros in u minus that in x."""
    pairs = _pairs(evidence, claim, "zeros")
    return [None if u is None or x is None else u - x for u, x in pairs]


def accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last test accuracy with BN at `arm` minus that with BN at `against`.

    Each arm at the rate with its lowest training loss, which is a mean over seeds.
    """
    arm, against = (
        best_accuracy(evidence, claim["activation"], claim[key]) for key in ("arm", "against")
    )
    return [arm[seed] - against[seed] for seed in all_seeds(evidence)]


def bias_gradient(evidence: Evidence, claim: Claim) -> Values:
    """|∂ℓ/∂b| ahead of BN, relative to Σ|∂ℓ/∂x|, the same sum without cancellation."""
    return [row["gradient"] for row in evidence.where("bias")]


def map_equivariance(evidence: Evidence, claim: Claim) -> Values:
    """Relative change when convolution and per-feature-map BN follow a shift, not precede it.

    Circular shifts and padding, or padding with zeros around images with a margin.
    """
    return [*shift_changes(evidence, "map")]


def activation_equivariance(evidence: Evidence, claim: Claim) -> Values:
    """The same of per-activation BN, in every setting but the one that treats locations alike."""
    return [*shift_changes(evidence, "activation")]


def pairs_per_map(evidence: Evidence, claim: Claim) -> Values:
    """|pairs (γ, β) of per-feature-map BN per feature map − 1|."""
    rows = evidence.where("pairs", kind="map")
    return [abs(row["numbers"] / 2 / row["maps"] - 1) for row in rows]


def stops(evidence: Evidence) -> list[int]:
    """The steps at which distributions were recorded."""
    return sorted({row["step"] for row in evidence.where("shape")})


def mean(values: Sequence[float | None]) -> float | None:
    """None when one of them is not finite, or when there is none."""
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def shape_mean(rows: Sequence[Row], column: str, seed: int) -> float | None:
    """Mean of a column over one seed's rows on the judged layers."""
    return mean([row[column] for row in rows if row["seed"] == seed and row["layer"] in JUDGED])


def later_shapes(evidence: Evidence, what: str, activation: str, arm: str = "none") -> list[Row]:
    """The rows on the distribution of u or x at the recorded steps after the first."""
    first = stops(evidence)[0]
    rows = evidence.where("shape", what=what, activation=activation, arm=arm)
    return [row for row in rows if row["step"] > first]


def gaussian_values(evidence: Evidence, column: str) -> list[float]:
    """What Gaussian samples as large as the probe measure; none for a change of shape."""
    found = [row.get(column) for row in evidence.where("reference")]
    return [value for value in found if value is not None]


def last_rows(evidence: Evidence, activation: str, arm: str) -> list[Row]:
    """Accuracy rows at the end of training, of every rate and seed."""
    rows = evidence.where("accuracy", activation=activation, arm=arm)
    last = max((row["step"] for row in rows), default=0)
    return [row for row in rows if row["step"] == last]


def best_rate(evidence: Evidence, activation: str, arm: str) -> float:
    """The rate with the lowest mean training loss; one where a seed diverged comes last."""
    rows = last_rows(evidence, activation, arm)
    losses = {
        lr: mean([row["training_loss"] for row in rows if row["lr"] == lr])
        for lr in sorted({row["lr"] for row in rows})
    }
    return min(losses, key=lambda lr: math.inf if (loss := losses[lr]) is None else loss)


def best_accuracy(evidence: Evidence, activation: str, arm: str) -> dict[int, float]:
    """Last test accuracy by seed at the arm's best rate."""
    lr = best_rate(evidence, activation, arm)
    rows = last_rows(evidence, activation, arm)
    return {row["seed"]: row["accuracy"] for row in rows if row["lr"] == lr}


def shift_changes(evidence: Evidence, kind: str) -> list[float]:
    """Relative changes when convolution and BN of a kind follow a shift, not precede it.

    Where all locations are treated alike, per-activation BN commutes too: this is left out.
    """
    rows = evidence.where("shift", kind=kind)
    return [row["change"] for row in rows if kind == "map" or row["setting"] != "alike"]


def _pairs(
    evidence: Evidence, claim: Claim, column: str
) -> list[tuple[float | None, float | None]]:
    """The column's means of u and of x for every seed."""
    u, x = (later_shapes(evidence, what, claim["activation"]) for what in "ux")
    seeds = all_seeds(evidence)
    return [(shape_mean(u, column, seed), shape_mean(x, column, seed)) for seed in seeds]


def _log_ratio(evidence: Evidence, claim: Claim, column: str) -> Values:
    return [math.log(x / u) if u and x else None for u, x in _pairs(evidence, claim, column)]
