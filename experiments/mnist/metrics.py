"""The metrics of Section 4.1's claims: a value a seed, `arm` against `against`, paired by seed."""

import math

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.paired import Claim, Values, paired
from bnrepro.evidence.paired import log_steps_ratio as log_steps_ratio


def final_accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    return paired(evidence, claim, "final_test_accuracy", lambda a, b: a - b)


def log_median_drift(evidence: Evidence, claim: Claim) -> Values:
    return _log_drift(evidence, claim, "relative")


def log_spread_drift(evidence: Evidence, claim: Claim) -> Values:
    return _log_drift(evidence, claim, "spread")


def _log_drift(evidence: Evidence, claim: Claim, kind: str) -> Values:
    column = f"drift_{kind}_training_hidden3"
    return paired(evidence, claim, column, lambda a, b: math.log(a / b))
