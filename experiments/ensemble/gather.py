"""Evidence of single networks and of all their ensembles.

runs, curves   as of other trained networks
errors         a row a seed, ensemble, count of crops and rule: top-1 and top-5 error, and which
               images are wrong, as bits
pairs          a row a seed, count of crops and pair of members: how often they agree

An ensemble is any subset of the members, which are all arms but BASE. `members` are bits too: of
all members, in the order of their names.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.gather import gather_runs
from bnrepro.evidence.tables import Row

BASE = "bn"  # the single network, which is no member
VIEWS = "views.npz"  # of a run: counts of crops and of different ones (K,), labels (N,), mean
# probabilities (K, N, classes)
RULES = ("arithmetic mean", "geometric mean", "vote")
SMALLEST = 1e-12  # probability, for logarithms

Arrays = Mapping[str, np.ndarray]


def gather_ensembles(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of the finished runs among the folders; ensembles of seeds with every member."""
    evidence = gather_runs(folders, seeds)
    evidence.tables |= {"errors": [], "pairs": []}
    members = {variant for variant in evidence.variants if variant != BASE}
    for seed in sorted({run["seed"] for run in evidence.runs}):
        views = {
            variant: dict(np.load(path))
            for variant, folder in folders.items()
            if evidence.where("runs", variant=variant, seed=seed)
            and (path := folder / f"seed-{seed}" / VIEWS).exists()
        }
        base = views.pop(BASE, None)
        if base is not None:
            evidence.errors.extend({"seed": seed, **row} for row in single_errors(base))
        if views.keys() == members:  # means over seeds are of the same networks, whatever subset
            evidence.errors.extend({"seed": seed, **row} for row in ensemble_errors(views))
            evidence.pairs.extend({"seed": seed, **row} for row in agreement(views))
    return evidence


def counted(views: Arrays) -> Iterator[tuple[int, Row]]:
    """Number and columns of every count of crops."""
    for k, (crops, distinct) in enumerate(zip(views["counts"], views["distinct"], strict=True)):
        yield k, {"crops": int(crops), "distinct": int(distinct)}


def single_errors(views: Arrays) -> Iterator[Row]:
    """The errors of the single network at every count of crops."""
    for k, counts in counted(views):
        key = {"members": BASE, "networks": 1, **counts, "rule": RULES[0]}
        yield key | error_row(views["probabilities"][k], views["labels"])


def ensemble_errors(views: Mapping[str, Arrays]) -> Iterator[Row]:
    """The errors of every subset of the members at every count; of all also by the other rules."""
    names = sorted(views)
    for size in range(1, len(names) + 1):
        for chosen in itertools.combinations(names, size):
            for k, counts in counted(views[chosen[0]]):
                each = np.stack([views[name]["probabilities"][k] for name in chosen])
                for rule in RULES if 1 < size == len(names) else RULES[:1]:
                    key = {"members": "+".join(chosen), "networks": size, **counts}
                    scores = predict(each, rule)
                    yield key | {"rule": rule} | error_row(scores, views[chosen[0]]["labels"])


def predict(each: np.ndarray, rule: str) -> np.ndarray:
    """Scores (N, classes) of an ensemble from its members' probabilities (M, N, classes).

    In a vote the mean probability decides between classes with equally many voices.
    """
    mean = each.mean(0, dtype=np.float64)
    if rule == "geometric mean":
        return np.log(np.maximum(each, SMALLEST)).mean(0, dtype=np.float64)
    if rule == "vote":
        voices = each.argmax(2)[..., None] == np.arange(each.shape[2])
        return voices.sum(0) + mean / 2
    return mean


def error_row(scores: np.ndarray, labels: np.ndarray) -> Row:
    """Share of images whose class is not the first, or not among the first five; and which.

    Of classes with equal scores the first counts as ahead, as in `argmax`.
    """
    of_class = np.take_along_axis(scores, labels[:, None], 1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    ahead = ((scores > of_class) | (before & (scores == of_class))).sum(1)
    wrong = {1: ahead >= 1, 5: ahead >= 5}
    return {
        "images": len(labels),
        **{f"top_{k}_error": round(float(bad.mean()), 6) for k, bad in wrong.items()},
        **{f"wrong_{k}": to_text(bad) for k, bad in wrong.items()},
    }


def to_text(bits: np.ndarray) -> str:
    """Bits as hexadecimal text; "0x" keeps a table's reader from taking it for a number."""
    return f"0x{np.packbits(bits).tobytes().hex()}"


def agreement(views: Mapping[str, Arrays]) -> Iterator[Row]:
    """How often two members name the same class, and how often they do where both are wrong."""
    for one, other in itertools.combinations(sorted(views), 2):
        for k, counts in counted(views[one]):
            a, b = (views[name]["probabilities"][k].argmax(1) for name in (one, other))
            labels = views[one]["labels"]
            both = (a != labels) & (b != labels)
            yield {
                "one": one, "other": other, **counts,
                "same_class": round(float((a == b).mean()), 6),
                "both_wrong": round(float(both.mean()), 6),
                "same_wrong": round(float((both & (a == b)).mean()), 6),
            }  # fmt: skip
