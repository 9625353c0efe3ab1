"""The metrics of the claims on small changes, a value a seed, each arm at its own best rate.

W₁ is changed by 1 % along the gradient, as a step of training does. A network's growth is the
change of the last hidden layer's inputs over that of the first's, both in units of their spread, at
the end of training. An arm's rate for a seed is the one with the lowest last training loss of the
other seeds.
"""

import math
from operator import sub

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.sweeps import activations, best_ends
from bnrepro.evidence.tables import Row


def changes(row: Row, kind: str = "update") -> Values:
    """The change of every hidden layer's inputs, the first layer's first, by a change of W₁."""
    return [row[key] for key in row if key.startswith(f"{kind}_")]


def log_growth(row: Row, kind: str = "update") -> float | None:
    """ln of the last hidden layer's change over the first's; None where it is not finite."""
    first, *_, end = changes(row, kind)
    return None if not first or not end else math.log(end / first)


def log_growths(evidence: Evidence, activation: str, arm: str) -> Values:
    """`log_growth` of every seed at the end of training."""
    return [log_growth(row) for row in best_ends(evidence.where(activation, arm=arm))]


def log_smallest_growth(evidence: Evidence, claim: Claim) -> Values:
    """The smaller `log_growth` of the two activations."""
    each = [log_growths(evidence, name, claim["arm"]) for name in activations(evidence)]
    return combine(lambda *values: min(values), *each)


def log_largest_growth_ratio(evidence: Evidence, claim: Claim) -> Values:
    """`log_growth` of `arm` minus that of `against`, the larger of the two activations' values."""
    each = []
    for name in activations(evidence):
        arms = (log_growths(evidence, name, claim[key]) for key in ("arm", "against"))
        each.append(combine(sub, *arms))
    return combine(lambda *values: max(values), *each)
