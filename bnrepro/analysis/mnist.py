"""The metrics of Section 4.1's claims: a value a seed, `arm` against `against`, paired by seed."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from bnrepro.analysis.evidence import Evidence
from bnrepro.analysis.steps import speed_up

Values = list[float | None]  # None: censored, the arm never got there


def _seeds(evidence: Evidence, claim: Mapping[str, Any]) -> list[int]:
    return sorted(set(evidence.seeds(claim["arm"])) & set(evidence.seeds(claim["against"])))


def log_steps_ratio(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    seeds = _seeds(evidence, claim)
    plain, other = ([evidence.accuracy(claim[v], s) for s in seeds] for v in ("against", "arm"))
    return speed_up(plain, other).log_ratios


def final_accuracy_gain(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    return _paired(evidence, claim, "final_test_accuracy", lambda a, b: a - b)


def log_median_drift(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    return _log_drift(evidence, claim, "relative")


def log_spread_drift(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    return _log_drift(evidence, claim, "spread")


def _log_drift(evidence: Evidence, claim: Mapping[str, Any], kind: str) -> Values:
    column = f"drift_{kind}_training_hidden3"
    return _paired(evidence, claim, column, lambda a, b: math.log(a / b))


def _paired(
    evidence: Evidence,
    claim: Mapping[str, Any],
    column: str,
    combine: Callable[[float, float], float],
) -> Values:
    values: Values = []
    for seed in _seeds(evidence, claim):
        arm, against = (evidence.run(claim[v], seed).get(column) for v in ("arm", "against"))
        values.append(None if arm is None or against is None else combine(arm, against))
    return values


METRICS = {
    f.__name__: f
    for f in (log_steps_ratio, final_accuracy_gain, log_median_drift, log_spread_drift)
}
