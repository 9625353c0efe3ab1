"""The tables of Section 3.4's experiment: Dropout × L2 × BN, and BN in groups of m."""

from collections.abc import Callable, Sequence
from itertools import product
from operator import itemgetter

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import Values, mean, mean_text, percent
from bnrepro.evidence.sweeps import accuracy, last
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.style import ARMS, Arm
from experiments.regularization.metrics import (
    Value,
    best_dropout,
    by_seed,
    gain_without_dropout,
    gap,
    group_rows,
    groups,
    overfitted,
)

LOOKS = {  # of the arms
    "baseline": ARMS["baseline"],
    "bn": Arm("with BN, same rate", *ARMS["bn"][1:]),
    "bn_tuned": Arm("with BN, its best rate", *ARMS["bn_tuned"][1:]),
}
ACCURACY, NOISE = itemgetter("test_accuracy"), itemgetter("noise")  # None where it diverged


def images_of(evidence: Evidence) -> list[int]:
    """The sizes of the training sets, in order."""
    return sorted(unique(overfitted(evidence), "train_images"))


def tables(evidence: Evidence) -> list[Table]:
    """Last and best test accuracy and the gap over Dropout and L2; groups of m."""
    return [
        grid_table(evidence, "last test accuracy, %", lambda rows: by_seed(last(rows), ACCURACY)),
        grid_table(evidence, "best test accuracy, %", best_accuracies),
        grid_table(evidence, "gap, percentage points", lambda rows: by_seed(last(rows), gap)),
        group_table(evidence),
    ]


def best_accuracies(rows: Sequence[Row]) -> Values:
    """The highest test accuracy that each seed's network ever had."""
    return [max(map(accuracy, each)) for each in grouped(rows, "seed").values()]


def grid_table(
    evidence: Evidence, name: str, value: Callable[[Sequence[Row]], Values]
) -> list[list[str]]:
    """A row a training set, arm and L2, a column a Dropout rate."""
    found = overfitted(evidence)
    rates, decays = (sorted(unique(found, key)) for key in ("dropout", "weight_decay"))
    cell_of = grouped(found, "train_images", "arm", "weight_decay", "dropout")
    rows = [[name, "L2", *(f"Dropout {rate:g}" for rate in rates)]]
    for images, arm, decay in product(images_of(evidence), LOOKS, decays):
        each = (cell_of.get((images, arm, decay, rate)) for rate in rates)
        cells = [percent_text(value(cell)) if cell else "–" for cell in each]
        rows.append([f"{images:,} images, {LOOKS[arm].label}", f"{decay:g}", *cells])
    return rows


def percent_text(values: Values) -> str:
    """Mean over seeds with its interval, in per cent; how many diverged, where some did."""
    return mean_text(percent(values), 2)


def group_table(evidence: Evidence) -> list[list[str]]:
    """Networks whose update takes all images: BN in groups of m, and none."""
    rows = [["an update takes all images", "noise of a logit", "gap, points", "test accuracy, %"]]
    named = [(f"BN in groups of {m}", group_rows(evidence, m)) for m in groups(evidence)]
    for name, found in [*named, (ARMS["baseline"].label, last(evidence.plain))]:
        noise = mean_text(by_seed(found, NOISE), 3) if "noise" in found[0] else "–"
        values = (percent_text(by_seed(found, value)) for value in (gap, ACCURACY))
        rows.append([name, noise, *values])
    return rows


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    texts = []
    for images in images_of(evidence):
        claim = {"arm": "bn_tuned", "against": "baseline", "images": images}
        bn, plain = (best_dropout(evidence, arm, images) for arm in ("bn_tuned", "baseline"))
        gain = percent_text(gain_without_dropout(evidence, claim))
        texts.append(f"{images:,}: {bn:g} with BN, {plain:g} without, {gain}")
    smallest, whole = groups(evidence)[0], groups(evidence)[-1]
    gaps = [gap_text(group_rows(evidence, m)) for m in (smallest, whole)]
    noise = mean_of(group_rows(evidence, smallest), NOISE, 2)
    return (
        "Best Dropout rate, and points of test accuracy by which BN without Dropout is above the "
        f"plain network with its best, by images: {'; '.join(texts)}. In groups of {smallest} a "
        f"logit varies by {noise} of its spread with its batch-mates and the gap is {gaps[0]} "
        f"points; without that noise (m = {whole}) it is {gaps[1]}; without BN it is "
        f"{gap_text(last(evidence.plain))}{', less than at any m' * least_without_bn(evidence)}."
    )


def gap_text(rows: Sequence[Row]) -> str:
    """The mean gap in percentage points."""
    return mean_of(rows, gap, 1, 100)


def mean_of(rows: Sequence[Row], value: Value, digits: int, factor: float = 1) -> str:
    """The mean of a value over the seeds, a dash where one diverged."""
    return mean_text(by_seed(rows, value), digits, factor, interval=False, lost="–")


def least_without_bn(evidence: Evidence) -> bool:
    """Whether the mean gap is smaller without BN than with BN in groups of any size."""
    plain = mean(by_seed(last(evidence.plain), gap))
    each = [mean(by_seed(group_rows(evidence, m), gap)) for m in groups(evidence)]
    return plain is not None and all(found is not None and found > plain for found in each)
