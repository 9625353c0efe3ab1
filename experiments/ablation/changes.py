"""The seven changes of Section 4.2.1, and the pairs of arms that show what each of them does."""

import re
from typing import NamedTuple

from bnrepro.evidence.evidence import Evidence

CHANGES = {  # in the paper's order
    "rate": "(1) higher rate",
    "dropout": "(2) no Dropout",
    "l2": "(3) less L2",
    "decay": "(4) faster decay",
    "lrn": "(5) no LRN",
    "shuffling": "(6) more shuffling",
    "photometric": "(7) weaker distortions",
}
SHOWN = {  # the networks that a change is undone or made in
    "bn_x5": "undone in BN-x5",
    "bn_baseline": "alone in BN-Baseline",
    "inception": "alone in Inception",
}
NAME = re.compile(rf"(few_)?({'|'.join(SHOWN)})_(do|undo)_({'|'.join(CHANGES)})")


class Pair(NamedTuple):
    """Two arms that differ in one change."""

    change: str
    network: str
    few: bool  # on a part of the images
    arm: str  # with the change
    against: str  # without it


def pairs(evidence: Evidence) -> list[Pair]:
    """Every change of a network that the evidence has with it and without it."""
    found = [pair for variant in evidence.variants if (pair := pair_of(variant))]
    return [pair for pair in found if {pair.arm, pair.against} <= set(evidence.variants)]


def pair_of(variant: str) -> Pair | None:
    """The pair that an arm with one change made or undone belongs to; None for another arm."""
    if not (match := NAME.fullmatch(variant)):
        return None
    few, network, verb, change = match.groups(default="")
    arms = [variant, few + network]
    if verb == "undo":
        arms.reverse()
    return Pair(change, network, bool(few), *arms)
