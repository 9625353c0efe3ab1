"""From evidence to verdicts: each claim's metric, its interval over seeds, what the criterion says.

`holds`: the criterion is met; `fails`: the interval lies wholly outside, or one value of a
criterion on every value does, or the seeds of a sign test agree against it, or a seed of `arm` did
not reach the target and none that did meets the criterion; `inconclusive`: neither; `not run`: no
evidence, or none of the arms it compares; `not testable here`: the claim says why, or what it is
provided with is not so. The scale belongs to every verdict.

Beside the verdict on a claim that is not exact stands the p-value of the test that gave it, and the
verdict that is left once it is corrected for the number of such claims.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bnrepro.config.claims import Claim, criterion_hash, metric
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.significance import LEVEL, holm, t_test
from bnrepro.evidence.statistics import (
    Above,
    Interval,
    Values,
    by_chance,
    each_text,
    known,
    t_interval,
)

DECIDING = 5  # seeds: all on one side have a probability of 1/32 by chance


@dataclass(frozen=True)
class Verdict:
    """What the evidence of a scale says on a claim."""

    claim: Claim
    scale: str
    verdict: str
    values: Values
    interval: Interval | None
    why: str = ""
    fixed_before: bool = True  # whether the criterion is in the records of the runs it judges
    test: str = ""  # "t-test" or "sign test", where one was made
    p: float | None = None
    adjusted: float | None = None  # p after Holm's correction

    @property
    def corrected(self) -> str:
        """The verdict after Holm's correction; where no test was made, the same."""
        if self.adjusted is None or self.adjusted < LEVEL:
            return self.verdict
        return "inconclusive"


def judge(claim: Claim, evidence: Evidence | None, scale: str) -> Verdict:
    """The verdict that the evidence of one scale (None: there is none) gives on one claim."""
    if "untestable" in claim:
        return Verdict(claim, scale, "not testable here", [], None, claim["untestable"].strip())
    if evidence is None:
        return Verdict(claim, scale, "not run", [], None, "no published evidence")
    fixed = {row["hash"] for row in evidence.criteria}
    verdict = _judge(claim, evidence, scale)
    test, p = significance(verdict)
    return replace(verdict, fixed_before=criterion_hash(claim) in fixed, test=test, p=p)


def _judge(claim: Claim, evidence: Evidence, scale: str) -> Verdict:
    if "provided" in claim:
        needed = {**claim, **claim["provided"]}
        found = _judge_values(needed, evidence, scale)
        if found.verdict == "not run":
            return replace(found, claim=claim)
        if found.verdict != "holds":
            why = f"{needed['metric']} of {needed['arm']}: {each_text(found.values, 3)}"
            return Verdict(claim, scale, "not testable here", [], None, why)
    return _judge_values(claim, evidence, scale)


def _judge_values(claim: Claim, evidence: Evidence, scale: str) -> Verdict:
    values: Values = metric(claim)(evidence, claim)
    if not values:
        return Verdict(claim, scale, "not run", [], None, "no run to judge it by")
    there = known(values)
    if len(there) < len(values):
        why = f"target never reached (or run diverged) in {values.count(None)} of {len(values)}"
        word = "inconclusive" if any(is_met(v, claim["criterion"]) for v in there) else "fails"
        return Verdict(claim, scale, word, values, None, why)
    if claim["criterion"]["over"] == "every":
        return Verdict(claim, scale, _word_of_every(claim["criterion"], there), values, None)
    if any(isinstance(v, Above) for v in there):
        return _judge_bounds(claim, scale, there)
    if len(there) < claim["n"]:
        why = f"{len(there)} seeds where {claim['n']} were fixed"
        return Verdict(claim, scale, "inconclusive", values, t_interval(there), why)
    if claim["criterion"]["over"] == "sign":
        return _judge_signs(claim, scale, there)
    return _judge_interval(claim, scale, there)


def _word_of_every(criterion: Mapping[str, Any], values: Sequence[float]) -> str:
    """One value that breaks the criterion refutes it; a bound that may break it decides nothing."""
    if all(is_met(value, criterion) for value in values):
        return "holds"
    return "fails" if any(is_broken(value, criterion) for value in values) else "inconclusive"


def _judge_bounds(claim: Claim, scale: str, values: Sequence[float]) -> Verdict:
    """Bounds have no interval: a sign test decides, for which DECIDING seeds must agree."""
    met = [is_met(v, claim["criterion"]) for v in values]
    enough = len(values) >= max(claim["n"], DECIDING)
    why = "" if enough else f"bounds of {len(values)} seeds cannot decide"
    return Verdict(claim, scale, "holds" if all(met) and enough else "inconclusive", list(values),
                   None, why)  # fmt: skip


def _judge_interval(claim: Claim, scale: str, values: Sequence[float]) -> Verdict:
    interval = t_interval(values)
    bounds = [b for b in (interval.low, interval.high) if b is not None] or [interval.mean]
    met = [meets(bound, claim["criterion"]) for bound in bounds]
    word = "holds" if all(met) else "inconclusive" if any(met) else "fails"
    return Verdict(claim, scale, word, list(values), interval)


def _judge_signs(claim: Claim, scale: str, values: Sequence[float]) -> Verdict:
    """A sign test: how many seeds satisfy the criterion decides, not by how much; ties are left
    out."""
    untied = without_ties(claim, values)
    count, n = sum(is_met(v, claim["criterion"]) for v in untied), len(untied)
    word = "holds" if by_chance(count, n) <= LEVEL else "inconclusive"
    word = "fails" if by_chance(n - count, n) <= LEVEL else word
    return Verdict(claim, scale, word, list(values), t_interval(values), f"{count} of {n} seeds")


def without_ties(claim: Claim, values: Sequence[float | None]) -> Values:
    """The values of a sign test: one that is the criterion's own speaks for neither side."""
    return [value for value in values if value != claim["criterion"]["value"]]


def meets(value: float, criterion: Mapping[str, Any]) -> bool:
    """Whether one number satisfies a criterion such as {op: "<", value: 1.0e-12}."""
    limit = criterion["value"]
    return value > limit if criterion["op"] == ">" else value < limit


def significance(verdict: Verdict) -> tuple[str, float | None]:
    """The test that gave the verdict, and its p-value; ("", None) where none did.

    None does for exact claims, for fewer seeds than were fixed, and where one value refutes a
    criterion on every value. Values without an interval, or without a spread, have the sign test.
    """
    claim, values = verdict.claim, verdict.values
    if claim["kind"] == "exact" or not values or len(values) < claim["n"]:
        return "", None
    over = claim["criterion"]["over"]
    if over == "every" and verdict.verdict == "fails":
        return "", None
    if over == "interval" and verdict.interval is not None:
        p = t_test(known(values), claim["criterion"]["value"])
        if p is not None:
            return "t-test", p
    if over == "sign":
        values = without_ties(claim, values)
    met = sum(is_met(value, claim["criterion"]) for value in values)
    agreeing = len(values) - met if verdict.verdict == "fails" else met
    return "sign test", by_chance(agreeing, len(values))


def is_met(value: float | None, criterion: Mapping[str, Any]) -> bool:
    """Whether a value is known to satisfy a criterion: a lower bound can be above alone."""
    if value is None or (isinstance(value, Above) and criterion["op"] == "<"):
        return False
    return meets(value, criterion)


def is_broken(value: float, criterion: Mapping[str, Any]) -> bool:
    """Whether a value is known to break a criterion: a lower bound can be too high alone."""
    if isinstance(value, Above) and criterion["op"] == ">":
        return False
    return not meets(value, criterion)


def corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts with Holm's correction over all of them that have a p-value."""
    tested = [v.p for v in verdicts if v.p is not None]
    adjusted = iter(holm(tested))
    return [v if v.p is None else replace(v, adjusted=next(adjusted)) for v in verdicts]
