"""Figure 4 as a table, the gains of crops and of members, and the members one by one."""

import statistics
from collections.abc import Callable, Sequence
from operator import itemgetter, sub
from typing import NamedTuple

import numpy as np

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import (
    Interval,
    Values,
    bootstrap_interval,
    combine,
    each_text,
    known,
    mean,
    mean_text,
)
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from experiments.ensemble.gather import BASE, RULES
from experiments.ensemble.metrics import errors, mean_wrong, members, rows

PAPER = {  # Figure 4: top-1 and top-5 error in %
    "one, one crop": ("25.2", "7.82"),
    "one, 144 crops": ("21.99", "5.82"),
    "six, 144 crops": ("20.1", "4.9"),
}
PUBLISHED = (  # the other rows of Figure 4
    ("GoogLeNet ensemble", "144", "7", "–", "6.67"),
    ("Deep Image, low resolution", "–", "1", "–", "7.96"),
    ("Deep Image, high resolution", "–", "1", "24.88", "7.42"),
    ("Deep Image ensemble", "–", "–", "–", "5.98"),
)
LOST = (None, "–", "–")  # of a network that diverged: said once
PAPERS_MULTIPLE = 30  # of the base rate


class Errors(NamedTuple):
    """The error of some networks: for every seed, and for every image over seeds and networks."""

    seeds: Values
    images: np.ndarray | None

    def minus(self, other: "Errors") -> "Errors":
        """What `other` gains, on the same seeds and images."""
        lost = self.images is None or other.images is None
        images = None if lost else self.images - other.images  # type: ignore[operator]
        return Errors(combine(sub, self.seeds, other.seeds), images)

    @property
    def over_images(self) -> Interval | None:
        """The mean in per cent with its interval over resampled test images."""
        return None if self.images is None else bootstrap_interval(100 * self.images)


Of = Callable[[Evidence, int, int], Errors]  # of the evidence, crops and top


def of_groups(groups: Sequence[Sequence[Row | None]], top: int) -> Errors:
    """The mean error of networks or ensembles, each with a row a seed."""
    each = [[None if r is None else r[f"top_{top}_error"] for r in group] for group in groups]
    flat = [row for group in groups for row in group]
    return Errors([mean(of_seed) for of_seed in zip(*each, strict=True)], mean_wrong(flat, top))


def single(evidence: Evidence, crops: int, top: int = 1) -> Errors:
    """The network without the members' changes."""
    return of_groups([rows(evidence, [BASE], crops)], top)


def one(evidence: Evidence, crops: int, top: int = 1) -> Errors:
    """One member, on average."""
    return of_groups([rows(evidence, [name], crops) for name in members(evidence)], top)


def together(evidence: Evidence, crops: int, top: int = 1, rule: str = RULES[0]) -> Errors:
    """All members together."""
    return of_groups([rows(evidence, members(evidence), crops, rule)], top)


def best_member(evidence: Evidence, crops: int, top: int = 1) -> Errors:
    """Of every seed the member with the lowest error on these very images."""
    groups = [rows(evidence, [name], crops) for name in members(evidence)]
    by_error = itemgetter(f"top_{top}_error")
    seeds = zip(*groups, strict=True)
    chosen = [None if None in each else min(each, key=by_error) for each in seeds]
    return of_groups([chosen], top)


def figure_4(evidence: Evidence) -> Table:
    """The errors beside the paper's: every seed, their mean, its interval over test images."""
    count = str(len(members(evidence)))
    header = ["network", "crops", "networks", *(f"top-{top} error by seed, %: mean [95 % over "
              "test images]" for top in (1, 5)), "paper: top-1", "paper: top-5"]  # fmt: skip
    body = [
        line(evidence, "single network", 1, "1", single, "one, one crop"),
        line(evidence, "single network", 144, "1", single, "one, 144 crops"),
        line(evidence, "a member, mean", 1, "1", one),
        line(evidence, "a member, mean", 144, "1", one),
        line(evidence, "the best member of each seed", 144, "1", best_member),
        line(evidence, "ensemble", 1, count, together),
        line(evidence, "ensemble", 144, count, together, "six, 144 crops"),
    ]
    for rule in RULES[1:]:
        each = [error_text(together(evidence, 144, top, rule)) for top in (1, 5)]
        body.append([f"ensemble, {rule}", "144", count, *each, "–", "–"])
    others = [[name, crops, n, "–", "–", *papers] for name, crops, n, *papers in PUBLISHED]
    return [header, *body, *others]


def line(
    evidence: Evidence, name: str, crops: int, count: str, of: Of, paper: str = ""
) -> list[str]:
    """A row of Figure 4."""
    each = [error_text(of(evidence, crops, top)) for top in (1, 5)]
    return [name, crops_text(evidence, crops), count, *each, *PAPER.get(paper, ("–", "–"))]


def crops_text(evidence: Evidence, crops: int) -> str:
    """The count of crops, and how many of them differ."""
    found = evidence.where("errors", crops=crops)
    distinct = max((row["distinct"] for row in found), default=crops)
    return f"{crops}" if distinct == crops else f"{crops} ({distinct} differ)"


def crop_count(crops: int) -> str:
    """A count of crops in words."""
    return "one crop" if crops == 1 else f"{crops} crops"


def error_text(found: Errors) -> str:
    """Every seed's error, their mean and its interval over images, in per cent."""
    each, interval = each_text(found.seeds, 2, 100), found.over_images
    return f"{each}: {interval.text(2)}" if interval else each or "–"


def gains(evidence: Evidence) -> dict[str, Errors]:
    """What crops and members take off the top-1 error, each first or second."""
    first, crops = one(evidence, 1), one(evidence, 144)
    networks, both = together(evidence, 1), together(evidence, 144)
    return {
        "144 crops for one, of a member": first.minus(crops),
        "144 crops for one, of the ensemble": networks.minus(both),
        "all members for one, with one crop": first.minus(networks),
        "all members for one, with 144 crops": crops.minus(both),
        "all members for the best one, with 144 crops": best_member(evidence, 144).minus(both),
        "both: all members with 144 crops for one with one": first.minus(both),
    }


def gain_table(evidence: Evidence) -> Table:
    """The gains in percentage points: every seed, and both kinds of intervals.

    A share of both is given only where both gain for certain: of nothing there are no shares.
    """
    header = ["fewer errors, percentage points of top-1", "by seed", "mean [95 % over seeds]",
              "[95 % over test images]", "share of both"]  # fmt: skip
    found = gains(evidence)
    both = found["both: all members with 144 crops for one with one"]
    interval = both.over_images
    gained = interval is not None and interval.low is not None and interval.low > 0
    clear = mean(both.seeds) if gained else None
    body = []
    for name, gain in found.items():
        over_images, average = gain.over_images, mean(gain.seeds)
        images = over_images.text(2) if over_images else "–"
        part = f"{100 * average / clear:.0f} %" if average is not None and clear else "–"
        seeds = [each_text(gain.seeds, 2, 100), mean_text(gain.seeds, 2, 100)]
        body.append([name, *seeds, images, part])
    return [header, *body]


def subset_table(evidence: Evidence) -> Table:
    """Mean top-1 error over all subsets of so many members and all seeds, by count of crops."""
    counts = sorted(unique(evidence.errors, "crops"))
    found = [row for row in evidence.where("errors", rule=RULES[0]) if row["members"] != BASE]
    header = ["members together", "subsets", *(f"{crop_count(k)}: top-1 error, %" for k in counts)]
    body = []
    for size in sorted(unique(found, "networks")):
        of_size = [row for row in found if row["networks"] == size]
        means = [
            statistics.mean(100 * r["top_1_error"] for r in of_size if r["crops"] == k)
            for k in counts
        ]
        subsets = str(len(unique(of_size, "members")))
        body.append([str(size), subsets, *(f"{value:.2f}" for value in means)])
    return [header, *body]


def member_table(evidence: Evidence) -> Table:
    """Every network: its rate, its accuracy on all test images, its errors, its agreement."""
    header = ["network", "rate (× base)", "accuracy, all test images, %", "top-1 error, 1 crop, %",
              "144 crops, %", "same class as another member, 144 crops, %"]  # fmt: skip
    body = []
    for name in [BASE, *members(evidence)]:
        runs = evidence.where("runs", variant=name)
        if not runs:
            continue
        values = [
            [run["final_test_accuracy_all"] for run in runs],
            *(errors(evidence, [name], crops) for crops in (1, 144)),
        ]
        each = [mean_text(v, 2, 100, limits=(0, 1), lost=lost)
                for v, lost in zip(values, LOST, strict=True)]  # fmt: skip
        pairs = evidence.where("pairs", crops=144)
        same = [row["same_class"] for row in pairs if name in (row["one"], row["other"])]
        agreed = f"{100 * statistics.mean(same):.1f}" if same else "–"
        rate, multiple = runs[0]["lr"] * runs[0]["multiplier"], runs[0]["multiplier"]
        shown = f"{rate:g} (×{multiple:g}; paper: ×{PAPERS_MULTIPLE})"
        body.append([name, shown, *each, agreed])
    return [header, *body]


def agreement_table(evidence: Evidence) -> Table:
    """How often two members agree: mean over pairs and seeds, lowest and highest."""
    header = ["two members, % of the images", *(crop_count(k) for k in (1, 144))]
    names = {"same_class": "name the same class", "both_wrong": "are both wrong",
             "same_wrong": "are wrong with the same class"}  # fmt: skip
    body = [
        [text, *(range_text(evidence, column, crops) for crops in (1, 144))]
        for column, text in names.items()
    ]
    return [header, *body]


def range_text(evidence: Evidence, column: str, crops: int) -> str:
    """Mean, lowest and highest of a column of the pairs, in per cent."""
    found = known(row[column] for row in evidence.where("pairs", crops=crops))
    if not found:
        return "–"
    average, low, high = (100 * f(found) for f in (statistics.mean, min, max))
    return f"{average:.2f} ({low:.2f} to {high:.2f})"
