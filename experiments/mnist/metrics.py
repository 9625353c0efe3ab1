"""The metrics of Section 4.1's claims: a value a seed, `arm` against `against`, paired by seed.

Both arms of a seed have the same initial weights and the same data order.
"""

import math
from operator import sub

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.pairs import log_steps_ratio, paired, paired_seeds
from bnrepro.evidence.statistics import Values, combine, largest

__all__ = ["log_steps_ratio"]


def final_accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last test accuracy of `arm` minus that of `against`, with moving averages."""
    return paired(evidence, claim, "final_test_accuracy", sub)


def log_median_drift(evidence: Evidence, claim: Claim) -> Values:
    """ln(drift_arm / drift_against) of the centre of a sigmoid's input.

    A unit's drift is the standard deviation, over steps 1,000 to the end, of its median input,
    divided by its mean spread p85 − p15; the value is the median over the 100 units of the last
    hidden layer, with training-mode statistics.
    """
    return _log_drift(evidence, claim, "relative")


def log_spread_drift(evidence: Evidence, claim: Claim) -> Values:
    """The same for the standard deviation of ln(p85 − p15), the width of a sigmoid's input."""
    return _log_drift(evidence, claim, "spread")


def saturation_change(evidence: Evidence, claim: Claim) -> Values:
    """Share of saturated inputs, |a| > 4, of `arm` minus that of `against`, at the last probe.

    Of the hidden layers the one where this is largest.
    """
    values = []
    for seed in paired_seeds(evidence, claim):
        arms = (saturated_shares(evidence, claim[key], seed) for key in ("arm", "against"))
        values.append(largest(combine(sub, *arms)))
    return values


def saturated_shares(evidence: Evidence, variant: str, seed: int) -> Values:
    """Each hidden layer's share of saturated inputs at a run's last probe; none without probes."""
    rows = evidence.where("curves", variant=variant, seed=seed)
    probed = [row for row in rows if row.get("saturated_hidden1") is not None]
    columns = [key for key in (probed[-1] if probed else ()) if key.startswith("saturated_")]
    return [probed[-1][column] for column in columns]


def _log_drift(evidence: Evidence, claim: Claim, kind: str) -> Values:
    column = f"drift_{kind}_training_hidden3"
    return paired(evidence, claim, column, lambda a, b: math.log(a / b))
