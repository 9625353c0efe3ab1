"""The metrics of Section 3.2's claims: a value a seed, or a value a measurement where the criterion
is `over: every`.

u is a hidden layer's input and x = Wu + b the nonlinearity's, both in plain networks, that is,
without BN. Measures of their distributions are means over units, over hidden layers 2 and 3 and
over the recorded steps after the first.
"""

import math
from collections.abc import Sequence
from operator import sub

from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, combine, known, mean
from bnrepro.evidence.sweeps import last, lowest_loss
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
    return combine(sub, *_pair(evidence, claim, "zeros"))


def accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last test accuracy with BN at `arm` minus that with BN at `against`.

    Each arm at the rate with its lowest training loss, which is a mean over seeds. No value where
    an arm has not run.
    """
    activation, arms = claim["activation"], (claim["arm"], claim["against"])
    if not all(last_rows(evidence, activation, arm) for arm in arms):
        return []
    return combine(sub, *(best_accuracy(evidence, activation, arm) for arm in arms))


def bias_gradient(evidence: Evidence, claim: Claim) -> Values:
    """|∂ℓ/∂b| ahead of BN, relative to Σ|∂ℓ/∂x|, the same sum without cancellation."""
    return [row["gradient"] for row in evidence.bias]


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


def shape_mean(rows: Sequence[Row], column: str, seed: int) -> float | None:
    """Mean of a column over one seed's rows."""
    return mean(row[column] for row in rows if row["seed"] == seed)


def shapes(evidence: Evidence, what: str, activation: str, arm: str = "none") -> list[Row]:
    """The rows on the distribution of u or x in the judged layers."""
    rows = evidence.where("shape", what=what, activation=activation, arm=arm)
    return [row for row in rows if row["layer"] in JUDGED]


def later_shapes(evidence: Evidence, what: str, activation: str, arm: str = "none") -> list[Row]:
    """Of these the rows at the recorded steps after the first."""
    first = stops(evidence)[0]
    return [row for row in shapes(evidence, what, activation, arm) if row["step"] > first]


def gaussian_values(evidence: Evidence, column: str) -> list[float]:
    """What Gaussian samples as large as the probe measure; none for a change of shape."""
    return known(row.get(column) for row in evidence.reference)


def last_rows(evidence: Evidence, activation: str, arm: str) -> list[Row]:
    """Accuracy rows at the end of training, of every rate and seed."""
    return last(evidence.where("accuracy", activation=activation, arm=arm))


def best_rate(evidence: Evidence, activation: str, arm: str) -> float:
    """The rate with the lowest mean training loss."""
    return lowest_loss(last_rows(evidence, activation, arm))


def best_accuracy(evidence: Evidence, activation: str, arm: str) -> Values:
    """Last test accuracy at the arm's best rate, a value a seed; None where it diverged."""
    lr = best_rate(evidence, activation, arm)
    rows = [row for row in last_rows(evidence, activation, arm) if row["lr"] == lr]
    return [finite_accuracy(row) for row in rows]


def finite_accuracy(row: Row) -> float | None:
    """The accuracy of a network; None where its training loss left the finite numbers."""
    return None if row["step"] and row["training_loss"] is None else row["accuracy"]


def shift_changes(evidence: Evidence, kind: str) -> list[float]:
    """Relative changes when convolution and BN of a kind follow a shift, not precede it.

    Where all locations are treated alike, per-activation BN commutes too: this is left out.
    """
    rows = evidence.where("shift", kind=kind)
    return [row["change"] for row in rows if kind == "map" or row["setting"] != "alike"]


def _pair(evidence: Evidence, claim: Claim, column: str) -> list[Values]:
    """The column's means of u and of x, a value a seed each."""
    rows = (later_shapes(evidence, what, claim["activation"]) for what in "ux")
    return [[shape_mean(each, column, seed) for seed in all_seeds(evidence)] for each in rows]


def _log_ratio(evidence: Evidence, claim: Claim, column: str) -> Values:
    u, x = _pair(evidence, claim, column)
    return combine(lambda x, u: math.log(x / u) if u and x else None, x, u)
