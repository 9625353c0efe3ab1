"""The metrics of Section 3's claims on γ and β, a value a seed, each arm at its own best rate.

An arm's rate for a seed is the one with the lowest last training loss of the other seeds. A value
is None where a seed's network is not finite.
"""

from operator import sub

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Values, combine, mean
from bnrepro.evidence.sweeps import best_ends
from bnrepro.evidence.tables import Row


def ends(evidence: Evidence, arm: str) -> list[Row]:
    """Every seed's last row at the arm's best rate, by seed."""
    return best_ends(evidence.where("sigmoid", arm=arm))


def linear_shares(row: Row) -> dict[str, float | None]:
    """Each hidden layer's share of inputs between −2 and 2; a layer the network lacks is absent."""
    return {key.removeprefix("linear_"): row[key] for key in row if key.startswith("linear_")}


def smallest_linear_share(evidence: Evidence, claim: Claim) -> Values:
    """The smallest over hidden layers of the share of a sigmoid's inputs between −2 and 2."""
    shares = [linear_shares(row).values() for row in ends(evidence, claim["arm"])]
    return combine(min, *zip(*shares, strict=True)) if shares else []


def linear_share_change(evidence: Evidence, claim: Claim) -> Values:
    """The mean over hidden layers of that share for `arm` minus that for `against`."""
    arms = (ends(evidence, claim[key]) for key in ("arm", "against"))
    return combine(sub, *([mean(linear_shares(row).values()) for row in rows] for rows in arms))


def accuracy_change(evidence: Evidence, claim: Claim) -> Values:
    """Last test accuracy of `arm` minus that of `against`."""
    arms = (ends(evidence, claim[key]) for key in ("arm", "against"))
    return combine(sub, *([row["test_accuracy"] for row in rows] for rows in arms))
