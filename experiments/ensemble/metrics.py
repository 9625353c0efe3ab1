"""The metrics of Figure 4's claims, a value a seed: differences of errors on the same images."""

import statistics
from collections.abc import Callable, Sequence
from operator import sub

import numpy as np

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.tables import Row
from experiments.ensemble.gather import BASE, RULES


def members(evidence: Evidence) -> list[str]:
    """The networks of the ensemble."""
    return sorted(variant for variant in evidence.variants if variant != BASE)


def rows(
    evidence: Evidence, chosen: Sequence[str], crops: int, rule: str = RULES[0]
) -> list[Row | None]:
    """The errors of one ensemble, a row a seed; None where one of its networks diverged."""
    key = {"members": "+".join(chosen), "crops": crops, "rule": rule}
    found = {row["seed"]: row for row in evidence.where("errors", **key)}
    return [found.get(seed) for seed in all_seeds(evidence)]


def errors(evidence: Evidence, chosen: Sequence[str], crops: int, top: int = 1) -> Values:
    """The error of one ensemble for each seed."""
    each = rows(evidence, chosen, crops)
    return [None if row is None else row[f"top_{top}_error"] for row in each]


def crops_gain(evidence: Evidence, claim: Claim) -> Values:
    """The single network's error with one crop minus that with `crops` of them."""
    one, many = (errors(evidence, [BASE], k, claim["top"]) for k in (1, claim["crops"]))
    return combine(sub, one, many)


def members_gain(evidence: Evidence, claim: Claim) -> Values:
    """The members' mean error minus that of all of them together, with `crops` each."""
    return gain(evidence, claim, statistics.mean)


def best_member_gain(evidence: Evidence, claim: Claim) -> Values:
    """The error of the best member on these very images minus that of all of them together."""
    return gain(evidence, claim, min)


def gain(evidence: Evidence, claim: Claim, of: Callable[[Sequence[float]], float]) -> Values:
    """`of` the members' errors minus the error of all of them together."""
    crops, top = claim["crops"], claim["top"]
    together = errors(evidence, members(evidence), crops, top)
    each = [errors(evidence, [name], crops, top) for name in members(evidence)]
    return combine(lambda all_of_them, *alone: of(alone) - all_of_them, together, *each)


def whole_gain(evidence: Evidence, claim: Claim) -> Values:
    """The single network's error with one crop minus that of all members with `crops` each."""
    return gain_over_single(evidence, claim, 1)


def single_gain(evidence: Evidence, claim: Claim) -> Values:
    """The single network's error minus that of all members together, with `crops` each."""
    return gain_over_single(evidence, claim, claim["crops"])


def gain_over_single(evidence: Evidence, claim: Claim, crops: int) -> Values:
    """The error of the single network with so many crops minus that of all members with theirs."""
    one = errors(evidence, [BASE], crops, claim["top"])
    return combine(sub, one, errors(evidence, members(evidence), claim["crops"], claim["top"]))


def wrong(row: Row, top: int = 1) -> np.ndarray:
    """Which images the ensemble of a row gets wrong, (images,) of 0 and 1."""
    packed = np.frombuffer(bytes.fromhex(row[f"wrong_{top}"][2:]), dtype=np.uint8)
    return np.unpackbits(packed, count=row["images"])


def mean_wrong(each: Sequence[Row | None], top: int = 1) -> np.ndarray | None:
    """For every image the share of these rows, of seeds and networks, that get it wrong."""
    there = [wrong(row, top) for row in each if row is not None]
    return np.mean(there, axis=0) if there and len(there) == len(each) else None
