"""Reading a sweep of small networks: which of them train, and at which rate an arm is at its best.

A row is one network at one stop, as `training/slot_sweep.py` records it.
"""

import math
from collections.abc import Iterable, Sequence

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import Above, difference, mean
from bnrepro.evidence.tables import Row

GUESS = math.log(10)  # cross-entropy of naming each of the ten classes with probability 1/10
LOST = 0.5  # of the units of one layer: this share of lost units names a failure


def activations(evidence: Evidence) -> list[str]:
    """The activations that were measured, of a sweep with a table for each."""
    return [name for name in ("sigmoid", "relu") if name in evidence.tables]


def last(rows: Iterable[Row]) -> list[Row]:
    """The rows of the last stop."""
    rows = list(rows)
    end = max((row["step"] for row in rows), default=0)
    return [row for row in rows if row["step"] == end]


def trains(row: Row) -> bool:
    """Whether a network trains, the rule of all sweeps.

    It is finite, its test accuracy is above chance (by three standard errors) and its training loss
    since the stop before is below that of guessing.
    """
    return row["outcome"] == "trained" and row["train_loss"] < GUESS


def state(row: Row) -> str:
    """How a network ended: trained, non-finite, saturated, dead or untrained.

    `saturated`, `dead`: some hidden layer has lost half of its units on all probe images.
    """
    if row["outcome"] == "non-finite":
        return "non-finite"
    if trains(row):
        return "trained"
    lost = [name for name in ("saturated", "dead") if (row.get(f"{name}_worst") or 0) >= LOST]
    return lost[0] if lost else "untrained"


def best_cell(rows: Iterable[Row], axes: Sequence[str], seed: int) -> dict[str, float]:
    """The values of the axes with the lowest last training loss, averaged over the other seeds.

    So neither the seed's result nor the test images choose its setting. A network that does not
    train counts as guessing; of equals the one with the lower values is chosen.
    """
    rows = last(rows)
    losses: dict[tuple[float, ...], list[float]] = {}
    for row in [row for row in rows if row["seed"] != seed] or rows:
        loss = row["train_loss"] if trains(row) else GUESS
        losses.setdefault(tuple(row[axis] for axis in axes), []).append(loss)
    best = min(losses, key=lambda cell: (math.fsum(losses[cell]) / len(losses[cell]), cell))
    return dict(zip(axes, best, strict=True))


def log_largest_ratio(
    trained: Sequence[float], tried: Sequence[float],
    others: Sequence[float], others_tried: Sequence[float],
) -> float | None:  # fmt: skip
    """ln of the largest rate that trains over the largest `others` that does.

    A lower bound where the first is the highest tried, or none of the others trains: theirs then
    counts as the lowest tried. Nothing is known where theirs is the highest; None where none of the
    first trains.
    """
    if not trained:
        return None
    if not others:
        return Above(math.log(max(trained) / min(others_tried)))
    return difference(_log_largest(trained, tried), _log_largest(others, others_tried))


def _log_largest(trained: Sequence[float], tried: Sequence[float]) -> float:
    log = math.log(max(trained))
    return Above(log) if max(trained) == max(tried) else log


def lowest_loss(rows: Iterable[Row]) -> float:
    """The rate of the lowest mean training loss; one where a network diverged comes last."""
    by_rate = grouped(rows, "lr")
    losses = {lr: mean(row["training_loss"] for row in by_rate[lr]) for lr in sorted(by_rate)}
    return min(losses, key=lambda lr: math.inf if (loss := losses[lr]) is None else loss)


def at_best_rate(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Every seed's rows at the rate that the other seeds' last training losses choose."""
    rows = list(rows)
    best = {seed: best_cell(rows, ["lr"], seed)["lr"] for seed in sorted(unique(rows, "seed"))}
    return {s: [r for r in rows if r["seed"] == s and r["lr"] == lr] for s, lr in best.items()}


def best_ends(rows: Iterable[Row]) -> list[Row]:
    """The last row of each seed of `at_best_rate`."""
    return [last(of_seed)[0] for of_seed in at_best_rate(rows).values()]


def accuracy(row: Row) -> float:
    """Test accuracy; 0 for a network that is not finite."""
    return row["test_accuracy"] or 0.0
