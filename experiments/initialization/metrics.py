"""The metrics of the claims on initialisation, a value a seed.

Both arms are held to one target for each seed: REACH of the test accuracy of the plain network at
its best rate and standard deviation, which the other seeds' training losses choose.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Above, Values
from bnrepro.evidence.steps import log_ratio_or_bound, steps_to
from bnrepro.evidence.sweeps import accuracy, best_cell, last
from bnrepro.evidence.tables import Row

ARMS = ("baseline", "bn")
REACH = 0.9  # of the plain network's best accuracy
PLATEAU = 0.2  # a network above this accuracy has left the initial plateau near 1/10


def plain_best(evidence: Evidence, activation: str, seed: int) -> Row:
    """The last row of a seed's plain network at its best rate and standard deviation."""
    rows = evidence.where(activation, arm="baseline")
    cell = best_cell(rows, ["lr", "init_std"], seed)
    return only(last(rows), seed=seed, **cell)


def only(rows: Sequence[Row], **values: Any) -> Row:
    """The one row with these values."""
    (row,) = [row for row in rows if all(row[k] == v for k, v in values.items())]
    return row


def by_std(evidence: Evidence, arm: str, activation: str, seed: int, rates: str) -> list[Row]:
    """A seed's last row for each standard deviation, rising.

    `rates: plain`: at the plain network's best rate; `own`: at the best rate of this arm for each
    standard deviation.
    """
    rows = last(evidence.where(activation, arm=arm))
    plain = plain_best(evidence, activation, seed)["lr"]
    found = []
    for std in sorted(unique(rows, "init_std")):
        here = [row for row in rows if row["init_std"] == std]
        rate = plain if rates == "plain" else best_cell(here, ["lr"], seed)["lr"]
        found.append(only(here, seed=seed, lr=rate))
    return found


def reaching(rows: Sequence[Row], target: float) -> list[float]:
    """The standard deviations at which the target is reached."""
    return [row["init_std"] for row in rows if accuracy(row) >= target]


def decades(stds: Sequence[float]) -> float:
    """log₁₀ of the highest over the lowest; 0 where there is at most one."""
    return math.log10(max(stds) / min(stds)) if stds else 0.0


def range_gain(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """Decades of initial standard deviation in which the target is reached, with BN minus without.

    From the lowest to the highest value of the grid that reaches it, at the claim's `rates`: the
    plain network's best rate for both arms (`plain`), or each arm's best for each value (`own`). A
    lower bound where BN reaches the target at an end of the grid; nothing is known where the plain
    network does.
    """
    values: Values = []
    for seed in all_seeds(evidence):
        target = REACH * accuracy(plain_best(evidence, claim["activation"], seed))
        rows = [by_std(evidence, a, claim["activation"], seed, claim["rates"]) for a in ARMS]
        plain, bn = (reaching(each, target) for each in rows)
        ends = {rows[0][0]["init_std"], rows[0][-1]["init_std"]}
        gain = decades(bn) - decades(plain)
        if ends & set(plain):
            values.append(Above(-math.inf))
        else:
            values.append(Above(gain) if ends & set(bn) else gain)
    return values


def case_accuracy(evidence: Evidence, arm: str, activation: str, case: str, seed: int) -> float:
    """A seed's last accuracy from a bad start, at the best rate of the arm for that start."""
    rows = evidence.where(f"cases_{activation}", arm=arm, case=case)
    return accuracy(only(last(rows), seed=seed, **best_cell(rows, ["lr"], seed)))


def case_gain(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """Test accuracy that the bad start `case` costs, without BN minus with BN, a value a seed.

    The cost is the accuracy from the normal start minus that from the bad one, each at the arm's
    best rate for that start; a network that is not finite counts as 0.
    """
    return [
        case_cost(evidence, "baseline", claim, seed) - case_cost(evidence, "bn", claim, seed)
        for seed in all_seeds(evidence)
    ]


def case_cost(evidence: Evidence, arm: str, claim: Mapping[str, Any], seed: int) -> float:
    """What the bad start costs an arm, in accuracy."""
    activation, cases = claim["activation"], ("normal", claim["case"])
    normal, bad = (case_accuracy(evidence, arm, activation, case, seed) for case in cases)
    return normal - bad


def plateau_steps(evidence: Evidence, arm: str, std: float, seed: int) -> float | None:
    """The first measured step with an accuracy of at least PLATEAU; None: not in the budget."""
    rows = evidence.where("plateau", arm=arm, init_std=std, seed=seed)
    return steps_to([(row["step"], accuracy(row)) for row in rows], PLATEAU)


def log_plateau_ratio(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """ln(steps on the initial plateau without BN / with BN), at the claim's standard deviation.

    A lower bound where the plain network stays on it for the whole budget; None where BN does.
    """
    budget, std = max((row["step"] for row in evidence.plateau), default=0), claim["init_std"]
    each = [[plateau_steps(evidence, arm, std, s) for arm in ARMS] for s in all_seeds(evidence)]
    return [log_ratio_or_bound(plain, bn, budget) for plain, bn in each]
