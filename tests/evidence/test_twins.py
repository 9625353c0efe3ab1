"""The negative twin of every claim that holds: on evidence against it, it fails."""

import functools
import zlib
from collections.abc import Callable

import pytest

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.ledger import judged, published
from bnrepro.evidence.tables import Row
from bnrepro.evidence.verdicts import Verdict, judge
from bnrepro.experiment import stems
from tests.drawing import more

PAIRS = (
    ("bn", "baseline"),
    ("bn", "plain"),
    ("u", "x"),
    ("through", "outside"),
    ("bn_tuned", "baseline"),
)
KEYS = {  # of a measurement, or what decides whether it counts
    "seed", "cell", "m", "step", "eps", "a", "lr", "rank", "unit", "every", "place", "budget",
    "rate", "width", "depth", "images", "group", "lag", "std", "replicas", "projection", "layers",
    "value", "count", "init_std", "dropout", "l2", "weight_decay", "train_images",
    "chance", "chance_accuracy",
}  # fmt: skip
Alter = Callable[[Row, str], object]


def altered(evidence: Evidence, alter: Alter) -> Evidence:
    """A copy whose cells are what `alter(row, column)` says; criteria stay."""
    tables = {
        name: rows if name == "criteria" else [{k: alter(row, k) for k in row} for row in rows]
        for name, rows in evidence.tables.items()
    }
    return Evidence(**tables)


def exchanging(pair: tuple[str, str]) -> Alter:
    """Each of two names, of arms say, stands for the other."""
    other = {pair[0]: pair[1], pair[1]: pair[0]}
    return lambda row, column: other.get(row[column], row[column]) if row[column] else row[column]


def replacing(number: Callable[[float, str, Row], float]) -> Alter:
    """Every measured number becomes another."""

    def alter(row: Row, column: str) -> object:
        value = row[column]
        measured = type(value) in (int, float) and column not in KEYS
        return number(value, column, row) if measured else value

    return alter


def scattered(value: float, column: str, row: Row) -> float:
    """Far from what it was, otherwise in every row and column."""
    return value + 1e4 * (1 + zlib.crc32(f"{column}{sorted(row.items(), key=str)}".encode()) % 97)


def with_bn(row: Row) -> bool:
    """Whether the row is of a network with BN."""
    return "bn" in (row.get("arm"), row.get("variant"))


ALTERATIONS = (
    *map(exchanging, PAIRS),
    replacing(lambda value, column, row: 0.0),
    replacing(lambda value, column, row: 1.0),
    replacing(scattered),
    replacing(lambda value, column, row: -value),
    lambda row, column: "collapsed" if row[column] == "trained" and with_bn(row) else row[column],
)
STEMS = [stem for stem in stems() if published(stem)]


@functools.cache
def held(stem: str) -> list[tuple[Verdict, Evidence]]:
    """The verdicts on an experiment's claims that hold, each with its evidence."""
    return [
        (verdict, each.evidence)
        for each in judged(stem)
        for verdict in each.verdicts
        if verdict.verdict == "holds" and each.evidence is not None
    ]


def word_on(evidence: Evidence, verdict: Verdict) -> str:
    """The verdict on altered evidence; metrics need not stand what makes no sense."""
    try:
        return judge(verdict.claim, evidence, verdict.scale).verdict
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return "–"


@pytest.mark.parametrize(
    "stem", ["mnist", "jacobian", *more(*(s for s in STEMS if s not in ("mnist", "jacobian")))]
)
def test_every_claim_that_holds_fails_on_evidence_against_it(stem):
    for verdict, evidence in held(stem):
        words = (word_on(altered(evidence, alter), verdict) for alter in ALTERATIONS)
        assert "fails" in words, verdict.claim["id"]


@pytest.mark.parametrize("stem", STEMS)
def test_no_claim_on_two_arms_holds_the_other_way_round(stem):
    for verdict, evidence in held(stem):
        claim = verdict.claim
        if {"arm", "against"} <= claim.keys() and isinstance(claim["against"], str):
            turned = {**claim, "arm": claim["against"], "against": claim["arm"]}
            assert judge(turned, evidence, verdict.scale).verdict != "holds", claim["id"]
