"""The metrics of Section 2's claims: a value a seed."""

import math
from collections.abc import Sequence
from operator import sub
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, largest_by_seed, unique
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.steps import second_half_growth
from bnrepro.evidence.tables import Row

LIMIT = 2 * math.log(10)  # twice the loss of guessing one of ten classes: blown up
TRANSFORMS = ("scale", "centre")
NETWORK = ("activation", "transform", "gradient", "every", "lr", "seed")  # what names one


def exact(evidence: Evidence, **values: Any) -> list[Row]:
    """Rows of the runs in which b alone is trained, unless `above` says otherwise."""
    return evidence.where("exact", **{"above": False, **values})


def last_rows(evidence: Evidence, **values: Any) -> list[Row]:
    """Each trained network's last row."""
    return [rows[-1] for rows in grouped(evidence.where("training", **values), *NETWORK).values()]


def blown_up(row: Row) -> bool:
    """Whether a network has blown up, by its last row.

    That is when its mean training loss over the last steps is not finite or above `LIMIT`.
    """
    return row["loss"] is None or row["loss"] > LIMIT


def shown_rate(evidence: Evidence, activation: str) -> float:
    """The lowest rate at which scaling outside blows up in every seed and BN in none.

    The highest rate where there is none.
    """
    rates = sorted(unique(last_rows(evidence, activation=activation), "lr"))
    for lr in rates:
        rows = last_rows(evidence, activation=activation, transform="scale", lr=lr)
        outside = [r for r in rows if r["gradient"] == "outside" and r["every"] == 1]
        through = [r for r in rows if r["gradient"] == "through"]
        if all(map(blown_up, outside)) and not any(map(blown_up, through)):
            return lr
    return rates[-1]


def step_deviation(evidence: Evidence, claim: Claim) -> Values:
    """The largest |Δb − Δb at the first step| over all steps and units.

    It is relative to the largest |Δb| of the first step. Full-batch gradient steps train b alone
    and take the statistics for constants; centring, and centring with scaling.
    """
    return largest_by_seed(exact(evidence, gradient="outside"), "step_deviation")


def output_deviation(evidence: Evidence, claim: Claim) -> Values:
    """The largest relative change of x̂ or of the loss, in the runs of `step_deviation`."""
    rows = exact(evidence, gradient="outside")
    return largest_by_seed(rows, "output_deviation", "loss_deviation")


def step_through(evidence: Evidence, claim: Claim) -> Values:
    """The largest |Δb| when the gradient passes through the statistics.

    It is relative to the step that a gradient outside them would take.
    """
    return largest_by_seed(exact(evidence, gradient="through"), "step_ratio")


def log_bias_growth(evidence: Evidence, claim: Claim) -> Values:
    """ln of RMS(b) at the end over RMS(b) halfway; None where one of them is not finite.

    All parameters are trained, the statistics of each mini-batch constant, with the claim's
    `transform`, `activation` and `lr`.
    """
    cell = {key: claim[key] for key in ("activation", "transform", "lr")}
    rows = evidence.where("training", gradient="outside", every=1, **cell)
    return [second_half_growth(each, "bias") for each in grouped(rows, "seed").values()]


def blown_up_rates(evidence: Evidence, claim: Claim) -> Values:
    """In how many cells activation × rate constant statistics blow up while BN does not.

    The network centres and scales, its statistics refreshed every `every` steps; BN is the same
    with the gradient through both statistics.
    """
    return [_count(evidence, seed, "scale", every=claim["every"]) for seed in all_seeds(evidence)]


def extra_blown_up_cells(evidence: Evidence, claim: Claim) -> Values:
    """The number of `blown_up_rates`, summed over all `every`, minus the same for centring alone.

    Both count the same cells: those where BN does not blow up.
    """
    return _extra(evidence, ("scale",))


def extra_cells_both_bounded(evidence: Evidence, claim: Claim) -> Values:
    """`extra_blown_up_cells` where centring with the gradient through the mean is bounded too."""
    return _extra(evidence, TRANSFORMS)


def _extra(evidence: Evidence, inside: Sequence[str]) -> Values:
    each = ([_count(evidence, s, t, inside) for s in all_seeds(evidence)] for t in TRANSFORMS)
    return combine(sub, *each)


def extra_share_than_inside(evidence: Evidence, claim: Claim) -> Values:
    """The share of cells that blow up with constant statistics, scaling's minus centring's.

    Each is of the cells where the same normalisation, with the gradient through its statistics,
    stays bounded.
    """
    shares = ([_share(evidence, seed, kind) for seed in all_seeds(evidence)] for kind in TRANSFORMS)
    return combine(sub, *shares)


def _share(evidence: Evidence, seed: int, transform: str) -> float | None:
    found = bounded(evidence, (transform,), gradient="outside", transform=transform, seed=seed)
    return sum(map(blown_up, found)) / len(found) if found else None


def _count(
    evidence: Evidence, seed: int, transform: str, inside: Sequence[str] = ("scale",), **values: Any
) -> float:
    cell = {"gradient": "outside", "transform": transform, "seed": seed, **values}
    return float(sum(map(blown_up, bounded(evidence, inside, **cell))))


def bounded(evidence: Evidence, inside: Sequence[str] = ("scale",), **values: Any) -> list[Row]:
    """The last rows of networks at settings (activation, rate, seed) that some stay bounded at.

    These are the networks with the gradient through the statistics of each transform of `inside`;
    "scale" is BN.
    """
    rows = last_rows(evidence, **values)
    for transform in inside:
        through = last_rows(evidence, gradient="through", transform=transform)
        kept = {setting(row) for row in through if not blown_up(row)}
        rows = [row for row in rows if setting(row) in kept]
    return rows


def setting(row: Row) -> tuple[str, float, int]:
    """Activation, rate and seed: what networks of different arms share."""
    return row["activation"], row["lr"], row["seed"]
