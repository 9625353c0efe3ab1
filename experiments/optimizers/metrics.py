"""The metric of Section 3.1's claims on optimisers, a value a seed, at the arm's best rate.

An arm's rate for a seed is the one with the lowest last training loss of the other seeds.
"""

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.sweeps import GUESS, best_ends
from bnrepro.evidence.tables import Row


def ends(evidence: Evidence, optimizer: str, arm: str) -> list[Row]:
    """Every seed's last row at the arm's best rate, by seed."""
    return best_ends(evidence.where(optimizer, arm=arm))


def loss_share(evidence: Evidence, claim: Claim) -> Values:
    """Last training loss over ln 10, that of guessing; the loss is the mean since the stop before.

    None where a seed's network is not finite.
    """
    rows = ends(evidence, claim["optimizer"], claim["arm"])
    return combine(lambda loss: loss / GUESS, [row["train_loss"] for row in rows])
