"""Metrics that compare two arms seed by seed: same initial weights, same data."""

from collections.abc import Callable

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.steps import speed_up


def paired_seeds(evidence: Evidence, claim: Claim) -> list[int]:
    """The seeds that both arms have."""
    return evidence.seeds(claim["arm"], claim["against"])


def log_steps_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln(steps_against / steps_arm) until test accuracy reaches the best that `against` ever has.

    The target is each seed's; None where `arm` never reaches it.
    """
    seeds = paired_seeds(evidence, claim)
    plain, other = ([evidence.curve(claim[v], s) for s in seeds] for v in ("against", "arm"))
    return speed_up(plain, other).log_ratios


def paired(
    evidence: Evidence, claim: Claim, column: str, f: Callable[[float, float], float]
) -> Values:
    """f(arm, against) of a column of the runs for every seed; None where one is missing."""
    seeds = paired_seeds(evidence, claim)
    arms = ([evidence.run(claim[v], s).get(column) for s in seeds] for v in ("arm", "against"))
    return combine(f, *arms)
