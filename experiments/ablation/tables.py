"""The tables: what each change does, and every arm by itself."""

import math

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import combine, each_text, known, mean_text, ratio_text
from bnrepro.evidence.steps import best, steps_text, steps_to
from bnrepro.experiment import Table
from bnrepro.plots.style import label
from experiments.ablation.changes import CHANGES, SHOWN, Pair, pairs
from experiments.ablation.metrics import (
    OVERFITS,
    last_accuracy_gain,
    log_steps_ratio,
    max_accuracy_gain,
    train_test_gap,
)

PLAIN = {False: "inception", True: "few_inception"}  # of each setting
UNTESTED = "not testable here"


def tables(evidence: Evidence) -> list[Table]:
    """The changes, then the arms."""
    return [changes_table(evidence), arms_table(evidence)]


def changes_table(evidence: Evidence) -> Table:
    """A row a change and network: paired differences, with the change minus without it."""
    header = ["change", "network", "images", "times as fast, in steps", "by seed",
              "maximum accuracy, % points", "last accuracy, % points", "by seed"]  # fmt: skip
    order = list(CHANGES)
    rows = sorted(pairs(evidence), key=lambda pair: (pair.few, order.index(pair.change)))
    return [header, *(change_row(evidence, pair) for pair in rows)]


def change_row(evidence: Evidence, pair: Pair) -> list[str]:
    """One change in one network."""
    claim = pair._asdict()
    speed, last = log_steps_ratio(evidence, claim), last_accuracy_gain(evidence, claim)
    name = CHANGES[pair.change] + ("" if testable(evidence, pair.few) else f", {UNTESTED}")
    gains = (mean_text(values, 2, 100) for values in (max_accuracy_gain(evidence, claim), last))
    return [name, SHOWN[pair.network], images(evidence, pair.few), ratio_text(speed),
            each_text(combine(math.exp, speed), 2), *gains, each_text(last, 2, 100)]  # fmt: skip


def testable(evidence: Evidence, few: bool) -> bool:
    """Whether a setting can show what it is for: on a part of the images, every seed overfits."""
    gaps = train_test_gap(evidence, {"arm": PLAIN[True]})
    return not few or all(gap is not None and gap > OVERFITS for gap in gaps)


def images(evidence: Evidence, few: bool) -> str:
    """How much of the training images a setting shows, and how often."""
    rows = [row for row in evidence.curves if row["variant"].startswith("few_") == few]
    passes = max((row["epoch"] for row in rows), default=0)
    return f"{'a part of the' if few else 'all'} images, {passes:.1f} passes"


def arms_table(evidence: Evidence) -> Table:
    """A row an arm, as in Figure 3."""
    header = ["arm", "steps to Inception's best", "maximum accuracy, %", "last accuracy, %",
              "last, training images, %", "outcome"]  # fmt: skip
    return [header, *(arm_row(evidence, variant) for variant in evidence.variants)]


def arm_row(evidence: Evidence, variant: str) -> list[str]:
    """One arm."""
    runs = evidence.where("runs", variant=variant)
    columns = ("best_test_accuracy", "final_test_accuracy_all", "final_train_accuracy")
    each = ([run.get(column) for run in runs] for column in columns)
    accuracies = [mean_text(values, 2, 100) if known(values) else "–" for values in each]
    outcomes = ", ".join(map(str, unique(runs, "outcome")))
    return [label(evidence, variant), steps_to_plain(evidence, variant), *accuracies, outcomes]


def steps_to_plain(evidence: Evidence, variant: str) -> str:
    """Every seed's steps to the best accuracy of Inception in the same setting."""
    plain = PLAIN[variant.startswith("few_")]
    texts = []
    for seed in evidence.seeds(variant, plain):
        curve = evidence.curve(variant, seed)
        step = steps_to(curve, best(evidence.curve(plain, seed)))
        texts.append(steps_text(step, curve[-1][0] if curve else 0))
    return ", ".join(texts) or "–"
