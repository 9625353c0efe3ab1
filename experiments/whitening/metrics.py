"""The metrics of the claims on whitening: a value a seed, and one for the cost.

Each arm trains at its best rate of the same list, chosen on held-out training images and a seed
that is not reported.
"""

import math
from collections.abc import Callable
from functools import partial
from operator import mul, sub
from statistics import linear_regression
from typing import Any

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.steps import Curve, best, curve_of, log_ratio_or_bound, steps_to
from bnrepro.evidence.tables import Row

FIT_FROM = 256  # units: exponents are fitted on this width and above


def batches(evidence: Evidence) -> list[int]:
    """The sizes of the mini-batches: m < d, m = 4d, and a larger one."""
    return sorted(unique(evidence.training, "batch"))


def main_batch(evidence: Evidence) -> int:
    """The mini-batch of four times the width, on which the claims are judged."""
    return int(evidence.step_cost[0]["batch"])


def main_rows(evidence: Evidence, table: str, **values: Any) -> list[Row]:
    """Rows at the main mini-batch; of whitening those whose ridge is BN's ε."""
    eps = evidence.where(table, arm="bn")[0]["ridge"]
    return evidence.where(table, batch=main_batch(evidence), ridge=eps, **values)


def last_rows(evidence: Evidence, batch: int) -> list[Row]:
    """Each network's row at the last step."""
    networks = grouped(evidence.where("training", batch=batch), "arm", "ridge", "seed")
    return [rows[-1] for rows in networks.values()]


def seeds(evidence: Evidence) -> list[int]:
    """The reported seeds, without the one that rates were tuned on."""
    return sorted(unique(evidence.training, "seed"))


def curve(evidence: Evidence, arm: str, seed: int) -> Curve:
    """Test accuracy over steps of a network at the main mini-batch."""
    return curve_of(main_rows(evidence, "training", arm=arm, seed=seed), "accuracy")


def steps_to_target(evidence: Evidence, arm: str, seed: int, share: float = 1.0) -> float | None:
    """Steps to `share` of the best test accuracy that the seed's network has with no transform."""
    goal = share * best(curve(evidence, "baseline", seed))
    return steps_to(curve(evidence, arm, seed), goal)


def step_seconds(evidence: Evidence, arm: str) -> float:
    """Seconds of one network's training step at the main mini-batch."""
    return float(evidence.where("step_cost", arm=arm)[0]["seconds"])


def singular_ratio(evidence: Evidence, claim: Claim) -> Values:
    """Smallest over largest eigenvalue of the covariance of a mini-batch, float64, no ridge.

    The mini-batch has fewer examples than the layer has units.
    """
    return [row["ratio"] for row in evidence.where("spectrum", batch=batches(evidence)[0])]


def log_steps_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln(steps_against / steps_arm) until test accuracy reaches the target; mini-batch m = 4d.

    The target is the best that the network without normalisation ever has for that seed; None
    where the arm never reaches it, a lower bound where `against` does not.
    """
    return _log_ratio(evidence, claim, lambda arm: 1.0)


def log_seconds_ratio(evidence: Evidence, claim: Claim) -> Values:
    """As `log_steps_ratio`, for steps times the arm's measured seconds a step."""
    return _log_ratio(evidence, claim, lambda arm: step_seconds(evidence, arm))


def _log_ratio(evidence: Evidence, claim: Claim, unit: Callable[[str], float]) -> Values:
    last = unit(claim["against"]) * main_rows(evidence, "training")[-1]["step"]
    times = []
    for arm in (claim["against"], claim["arm"]):
        steps = [steps_to_target(evidence, arm, seed) for seed in seeds(evidence)]
        times.append(combine(partial(mul, unit(arm)), steps))
    return [log_ratio_or_bound(other, mine, last) for other, mine in zip(*times, strict=True)]


def cost_exponent_gap(evidence: Evidence, claim: Claim) -> Values:
    """The exponent of seconds (forward and backward) in the width: whitening's minus BN's.

    It is fitted on d ≥ 256; one value.
    """
    return combine(sub, *([cost_exponent(evidence, arm)] for arm in ("whiten", "bn")))


def cost_exponent(evidence: Evidence, arm: str, column: str = "seconds") -> float | None:
    """p of seconds ∝ dᵖ, by least squares on the logarithms, d ≥ 256; None without two such d."""
    rows = fitted_rows(evidence, arm)
    widths, seconds = ([math.log(row[name]) for row in rows] for name in ("width", column))
    return linear_regression(widths, seconds).slope if len(rows) > 1 else None


def fitted_rows(evidence: Evidence, arm: str) -> list[Row]:
    """The costs of an arm on the widths that exponents are fitted on."""
    return [row for row in evidence.where("cost", arm=arm) if row["width"] >= FIT_FROM]
