"""The metrics of the claims on internal covariate shift: a value a seed.

A network is an activation, an arm, a strength of noise and a rate. `rates: same` compares networks
with BN and without at the plain network's best rate, `rates: best` each at its best, the rate with
the lowest loss on fixed training images at the end of training. Only hidden layers with layers
below are looked at.
"""

import math
from collections.abc import Sequence
from operator import sub
from typing import NamedTuple

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Values, combine, mean
from bnrepro.evidence.steps import Curve, best, curve_of, log_ratio_or_bound, steps_to
from bnrepro.evidence.sweeps import lowest_loss
from bnrepro.evidence.tables import Row


class Network(NamedTuple):
    """What names the networks of one arm and rate, one a seed."""

    activation: str
    arm: str = "baseline"  # | bn | bn_noise
    noise: float = 0.0  # κ
    lr: float | None = None  # None: all rates


def log_drift_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln of how far distributions move with BN, relative to without.

    The drift is the Wasserstein distance of a unit's values on fixed images to those a lag earlier,
    in units of their spread, a mean over a layer's units; the ratio is a geometric mean over
    layers, starts and lags. `what`: u, the layer's input, or a, the nonlinearity's. `column`: the
    `total` distance or the part of the `shape`, mean and scale apart.
    """
    networks = compared(evidence, claim["activation"], claim["rates"])
    return log_ratios(evidence, "drift", claim["column"], networks, what=claim["what"])


def log_gradient_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln of how far a layer's gradient moves with BN when the layers below are updated, relative to
    without.

    The distance is ‖G′ − G‖/‖G‖ of ∂ℓ/∂W on one mini-batch, a mean over consecutive steps; the
    ratio is a geometric mean over layers and starts.
    """
    networks = compared(evidence, claim["activation"], claim["rates"])
    return log_ratios(evidence, "gradient", "distance", networks)


def log_steps_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln(steps of BN with noise behind it / steps of `against`), each at its best rate.

    Steps until test accuracy is `share` of the best that the plain network of that seed ever has; a
    lower bound where BN with noise never gets there. The noise is the weakest with which what the
    nonlinearity gets (a) moves further than without BN, as `control` says; no value where there is
    none.
    """
    noisy = control(evidence, claim["activation"])
    if noisy is None:
        return []
    against = at_best_rate(evidence, Network(claim["activation"], claim["against"]))
    return log_steps_of(evidence, (noisy, against), claim["share"])


def control(evidence: Evidence, activation: str) -> Network | None:
    """BN with the weakest noise with which a moves further than without BN, for every seed.

    Each at its best rate; a geometric mean over layers, starts and lags.
    """
    plain = at_best_rate(evidence, Network(activation))
    rows = evidence.where("accuracy", activation=activation, arm="bn_noise")
    for noise in sorted(unique(rows, "noise")):
        noisy = at_best_rate(evidence, Network(activation, "bn_noise", noise))
        drifts = log_ratios(evidence, "drift", "total", (noisy, plain), what="a")
        if all(drift is not None and drift > 0 for drift in drifts):
            return noisy
    return None


def log_steps_of(evidence: Evidence, networks: Sequence[Network], share: float) -> Values:
    """ln of the ratio of the first network's steps to the second's, a value a seed.

    A lower bound where training of the first ended before, None where that of the second did.
    """
    each = (steps_by_seed(evidence, network, share) for network in networks)
    last = last_step(evidence)
    return [log_ratio_or_bound(first, other, last) for first, other in zip(*each, strict=True)]


def compared(evidence: Evidence, activation: str, rates: str) -> tuple[Network, Network]:
    """The network with BN and the plain one, at the plain one's best rate or each at its best."""
    plain = at_best_rate(evidence, Network(activation))
    bn = Network(activation, "bn")
    return (bn._replace(lr=plain.lr) if rates == "same" else at_best_rate(evidence, bn)), plain


def rows_of(evidence: Evidence, table: str, network: Network, **values: object) -> list[Row]:
    """The rows of a network, of all rates where it names none."""
    named = {key: value for key, value in network._asdict().items() if value is not None}
    return evidence.where(table, **named, **values)


def at_best_rate(evidence: Evidence, network: Network) -> Network:
    """The network at the rate of the lowest mean training loss."""
    rows = rows_of(evidence, "accuracy", network, step=last_step(evidence))
    return network._replace(lr=lowest_loss(rows))


def last_step(evidence: Evidence) -> int:
    """The step at which training ended."""
    return max(row["step"] for row in evidence.accuracy)


def log_ratios(
    evidence: Evidence, table: str, column: str, networks: Sequence[Network], **values: object
) -> Values:
    """ln of a column's ratio of the first network to the second, a mean over all that was measured.

    A value a seed; None where one of the two left the finite numbers or did not move at all.
    """
    return combine(sub, *(means(evidence, table, column, n, log=True, **values) for n in networks))


def means(
    evidence: Evidence, table: str, column: str, network: Network, log: bool = False,
    **values: object,
) -> Values:  # fmt: skip
    """Mean of a column, or of its logarithm, over all that was measured of a network; by seed.

    There is no logarithm of 0.
    """
    found: dict[int, Values] = {seed: [] for seed in all_seeds(evidence)}
    for row in rows_of(evidence, table, network, **values):
        number = row[column]
        found[row["seed"]].append((math.log(number) if number else None) if log else number)
    return [mean(numbers) for numbers in found.values()]


def steps_by_seed(evidence: Evidence, network: Network, share: float) -> list[float | None]:
    """Steps to `share` of the best accuracy of the plain network of that seed; None: never."""
    plain = at_best_rate(evidence, Network(network.activation))
    return [
        steps_to(curve(evidence, network, seed), share * best(curve(evidence, plain, seed)))
        for seed in all_seeds(evidence)
    ]


def curve(evidence: Evidence, network: Network, seed: int) -> Curve:
    """Test accuracy over steps."""
    return curve_of(rows_of(evidence, "accuracy", network, seed=seed), "accuracy")
