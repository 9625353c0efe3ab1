"""The metrics of Section 3.3's claims on learning rates, a value a seed.

A network *trains* at a rate by the rule of `evidence.sweeps.trains`: at the end of the budget it is
finite, above chance, and its training loss is below that of guessing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Values, difference
from bnrepro.evidence.steps import curve_of, speed_up
from bnrepro.evidence.sweeps import at_best_rate, last, log_largest_ratio, trains
from bnrepro.evidence.tables import Row

ARMS = ("baseline", "bn")


def networks(evidence: Evidence, activation: str) -> list[dict[str, int]]:
    """Depth and width of the networks, in rising order."""
    rows = evidence.tables[activation]
    found = sorted({(row["depth"], row["width"]) for row in rows})
    return [{"depth": depth, "width": width} for depth, width in found]


def rows_of(evidence: Evidence, arm: str, cell: Mapping[str, Any]) -> list[Row]:
    """The rows of one arm's networks of the activation, depth and width that `cell` names."""
    return evidence.where(cell["activation"], arm=arm, depth=cell["depth"], width=cell["width"])


def at_largest(rows: Sequence[Row], seed: int) -> Row | None:
    """The last row of a seed's network at the largest rate that trains; None: none does."""
    trained = [row for row in last(rows) if row["seed"] == seed and trains(row)]
    return max(trained, key=lambda row: row["lr"], default=None)


def log_rate_ratio(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """ln(largest rate of the grid that trains with BN / without), a value a seed.

    A bound at an end of the grid, as `evidence.sweeps.log_largest_ratio` says.
    """
    plain, bn = (rows_of(evidence, arm, claim) for arm in ARMS)
    tried = [unique(rows, "lr") for rows in (bn, plain)]
    values: Values = []
    for seed in all_seeds(evidence):
        each = [[row["lr"]] if (row := at_largest(rows, seed)) else [] for rows in (bn, plain)]
        values.append(log_largest_ratio(each[0], tried[0], each[1], tried[1]))
    return values


def log_ratio_growth(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """`log_rate_ratio` at the depth `deep` minus that at the depth `shallow`, a value a seed."""
    deep, shallow = (
        log_rate_ratio(evidence, {**claim, "depth": claim[key]}) for key in ("deep", "shallow")
    )
    return [difference(more, less) for more, less in zip(deep, shallow, strict=True)]


def log_steps_ratio(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """ln(steps without BN / with BN) to the plain network's best test accuracy, each at its best.

    An arm's rate for a seed is the one with the lowest training loss of the other seeds. None where
    BN never reaches the target.
    """
    arms = (at_best_rate(rows_of(evidence, arm, claim)).values() for arm in ARMS)
    plain, bn = ([curve_of(rows) for rows in by_seed] for by_seed in arms)
    return speed_up(plain, bn).log_ratios


def log_weight_ratio(evidence: Evidence, claim: Mapping[str, Any]) -> Values:
    """ln(‖w‖² with BN / without) at each arm's largest rate that trains, at the end of the budget.

    It is the ratio of the rates over the ratio of the effective steps η/‖w‖² (geometric means over
    hidden layers). None where an arm trains at no rate.
    """
    values: Values = []
    for seed in all_seeds(evidence):
        rows = [at_largest(rows_of(evidence, arm, claim), seed) for arm in ARMS]
        norms = [row["lr"] / row["effective_step"] for row in rows if row]
        values.append(math.log(norms[1] / norms[0]) if len(norms) == len(ARMS) else None)
    return values
