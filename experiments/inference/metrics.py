"""The metrics of Section 3.1's claims: a value a seed, or a value a network or measurement where a
criterion is `over: every`.

The judged sizes are the m of at least 32, the smallest mini-batch that the paper trains with.
"""

from collections.abc import Sequence
from operator import sub

from bnrepro.evidence.evidence import Evidence, grouped
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, combine, largest
from bnrepro.evidence.tables import Row

PAPER_BATCH = 32  # 4.2: the smallest mini-batch that the paper trains with


def company_difference(evidence: Evidence, claim: Claim) -> Values:
    """Largest change of an example's logits when its batch-mates change, in float64.

    A value a network and kind of fixed statistics; None where a logit is not finite.
    """
    rows = fixed_statistics(evidence)
    return [largest([row["difference"], row["difference_alone"]]) for row in rows]


def enumeration_error(evidence: Evidence, claim: Claim) -> Values:
    """|ratio − 1| of m/(m−1) · E[σ²_B] to the true variance, in float64.

    The expectation is over all mini-batches that can be drawn from a small population; a value a
    population and m.
    """
    return [abs(row["ratio_unbiased"] - 1) for row in evidence.where("enumeration")]


def variance_error(evidence: Evidence, claim: Claim) -> Values:
    """|ratio − 1| of m/(m−1) · E_B[σ²_B] to the variance over all the same examples.

    Of the first hidden layer of trained networks, a mean over units; the largest over m.
    """
    return _farthest_from_one(evidence.where("moments", layer="hidden1"), "ratio_unbiased")


def x_hat_variance_error(evidence: Evidence, claim: Claim) -> Values:
    """|Var[x̂] − 1| on training images with population statistics.

    The largest over hidden layers and judged sizes.
    """
    rows = [row for row in evidence.where("x_hat") if row["m"] >= PAPER_BATCH]
    return _farthest_from_one(rows, "x_hat_var")


def moving_gap(evidence: Evidence, claim: Claim) -> Values:
    """|accuracy with moving averages − accuracy with population statistics| at the end.

    The largest over judged sizes.
    """
    judged = [m for m in sizes(evidence) if m >= PAPER_BATCH]
    gaps = zip(*(gap(evidence, m, "moving", "population") for m in judged), strict=True)
    return [largest(combine(abs, each)) for each in gaps]


def lowest_accuracy(evidence: Evidence, claim: Claim) -> Values:
    """The lowest last test accuracy with population statistics over all m."""
    every = (accuracies(evidence, m, "population") for m in sizes(evidence))
    return combine(lambda *values: min(values), *every)


def factor_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last accuracy with the factor m/(m−1) minus that without it, at the smallest m."""
    return gap(evidence, min(sizes(evidence)), "population", "population_biased")


def fold_error(evidence: Evidence, claim: Claim) -> Values:
    """Largest change of a logit by folding, relative to the largest logit, in machine epsilons.

    A value a network and type, float32 and float64.
    """
    return [row["error_in_epsilons"] for row in evidence.where("fold")]


def sizes(evidence: Evidence) -> list[int]:
    """The mini-batch sizes that networks were trained with."""
    return sorted({row["m"] for row in evidence.where("moments")})


def accuracies(evidence: Evidence, m: int, statistics: str) -> Values:
    """Last test accuracy with one kind of statistics, a value a seed; None where it diverged."""
    rows = grouped(evidence.where("accuracy", m=m, statistics=statistics), "seed")
    lost = {r["seed"] for r in evidence.where("moments", m=m) if r["ratio_biased"] is None}
    return [None if seed in lost else each[-1]["accuracy"] for seed, each in rows.items()]


def gap(evidence: Evidence, m: int, kind: str, other: str) -> Values:
    """Last accuracy with one kind of statistics minus that with another, a value a seed."""
    return combine(sub, *(accuracies(evidence, m, statistics) for statistics in (kind, other)))


def fixed_statistics(evidence: Evidence) -> list[Row]:
    """The rows on changed batch-mates with population statistics or moving averages."""
    return [row for row in evidence.where("company") if row["statistics"] != "batch"]


def _farthest_from_one(rows: Sequence[Row], column: str) -> Values:
    by_seed = grouped(rows, "seed").values()
    return [largest(combine(lambda v: abs(v - 1), [r[column] for r in each])) for each in by_seed]
