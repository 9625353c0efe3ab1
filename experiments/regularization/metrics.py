"""The metrics of Section 3.4's claims on regularisation: a value a seed, at the end of training.

The gap is accuracy on (2,000 of) the training images minus test accuracy, both evaluated with
population statistics and without Dropout. Where a claim compares arms, its networks have no L2, and
`images` is the size of the training set. A network that diverged has an accuracy of 0 and no gap.
"""

import math
from collections.abc import Callable, Sequence
from operator import sub
from statistics import fmean, linear_regression

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.sweeps import accuracy, last
from bnrepro.evidence.tables import Row

Value = Callable[[Row], float | None]
BLOCKS = ("dropout", "dropout_tuned", "l2", "l2_tuned")  # of networks that overfit


def dropout_shift(evidence: Evidence, claim: Claim) -> Values:
    """The Dropout rate of the highest test accuracy in `arm` minus that in `against`."""
    seeds, arms = all_seeds(evidence), (claim["arm"], claim["against"])
    each = ([best_dropout(evidence, arm, claim["images"], seed=s) for s in seeds] for arm in arms)
    return combine(sub, *each)


def gain_without_dropout(evidence: Evidence, claim: Claim) -> Values:
    """Test accuracy of `arm` without Dropout minus that of `against` with its best.

    The best Dropout rate is that of the highest mean over seeds.
    """
    against, images = claim["against"], claim["images"]
    best = best_dropout(evidence, against, images)
    reference = networks(evidence, against, images, weight_decay=0, dropout=best)
    bare = networks(evidence, claim["arm"], images, weight_decay=0, dropout=0)
    return combine(sub, by_seed(bare, accuracy), by_seed(reference, accuracy))


def gap_change(evidence: Evidence, claim: Claim) -> Values:
    """The gap of `arm` minus that of `against`, both without Dropout."""
    arms, key = (claim["arm"], claim["against"]), {"weight_decay": 0, "dropout": 0}
    each = (networks(evidence, arm, claim["images"], **key) for arm in arms)
    return combine(sub, *(by_seed(rows, gap) for rows in each))


def noise_slope(evidence: Evidence, claim: Claim) -> Values:
    """Slope of ln(noise) against ln(m), over all m but the whole training set.

    The noise is the standard deviation of a training image's logits over random batch-mates,
    relative to that over images.
    """
    return slopes(evidence, log_noise, whole=False)


def gap_slope(evidence: Evidence, claim: Claim) -> Values:
    """Slope of the gap against ln(m): by how much it grows when m is e times as large."""
    return slopes(evidence, gap, whole=True)


def gap_of_noise(evidence: Evidence, claim: Claim) -> Values:
    """The gap with BN in groups of `group` minus that with noise-free statistics.

    Those are taken of all training images together; an update takes all images in both networks.
    """
    sizes = (claim["group"], max(groups(evidence)))
    return combine(sub, *(by_seed(group_rows(evidence, size), gap) for size in sizes))


def log_noise(row: Row) -> float | None:
    """ln(noise); None for a network that diverged."""
    return math.log(row["noise"]) if row["noise"] else None


def gap(row: Row) -> float | None:
    """Accuracy on training images minus test accuracy; None for a network that diverged."""
    fitted, test = row["fitted_accuracy"], row["test_accuracy"]
    return None if fitted is None or test is None else fitted - test


def overfitted(evidence: Evidence) -> list[Row]:
    """The rows of the networks that overfit, at all stops; those of blocks without L2 have 0."""
    rows = [row for block in BLOCKS for row in evidence.tables.get(block, [])]
    return [{"weight_decay": 0.0, **row} for row in rows]


def networks(evidence: Evidence, arm: str, images: int, **values: object) -> list[Row]:
    """The last rows of an arm's networks on a training set, those with all these values."""
    key = {"arm": arm, "train_images": images, **values}
    return last(r for r in overfitted(evidence) if all(r[k] == v for k, v in key.items()))


def best_dropout(evidence: Evidence, arm: str, images: int, **values: object) -> float:
    """The Dropout rate of the highest mean test accuracy without L2."""
    return best_value(networks(evidence, arm, images, weight_decay=0, **values), "dropout")


def best_value(rows: Sequence[Row], key: str) -> float:
    """The value of a key with the highest mean test accuracy; of equals the lowest."""
    each = sorted(unique(rows, key))
    means = {value: fmean(accuracy(r) for r in rows if r[key] == value) for value in each}
    return max(means, key=lambda value: means[value])


def by_seed(rows: Sequence[Row], value: Value) -> Values:
    """A value of each row, in the order of the seeds."""
    return [value(row) for row in sorted(rows, key=lambda row: row["seed"])]


def groups(evidence: Evidence) -> list[int]:
    """The numbers m of examples normalised together, in order; the last is all of them."""
    return sorted(unique(evidence.groups, "group"))


def group_rows(evidence: Evidence, group: int) -> list[Row]:
    """The last rows of the networks with BN in groups of m."""
    return last(evidence.where("groups", group=group))


def slopes(evidence: Evidence, value: Value, whole: bool) -> Values:
    """Slope of a value against ln(m) by least squares, with or without the whole training set."""
    sizes = groups(evidence) if whole else groups(evidence)[:-1]
    columns = [by_seed(group_rows(evidence, size), value) for size in sizes]
    logs = [math.log(m) for m in sizes]
    return combine(lambda *row: linear_regression(logs, row).slope, *columns)
