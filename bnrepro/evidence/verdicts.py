"""From evidence to verdicts: each claim's metric, its interval over seeds, what the criterion says.

`holds`: the criterion is met; `fails`: the interval lies wholly outside, or one value of a
criterion on every value does, or the seeds of a sign test agree against it, or `against` reached
the target and no seed of `arm` did; `inconclusive`: neither; `not run`: no evidence, or none of the
arms it compares. The scale belongs to every verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bnrepro.config.claims import Claim, criterion_hash, metric
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import Above, Interval, Values, by_chance, t_interval

DECIDING = 5  # seeds: all on one side have a probability of 1/32 by chance
RARE = 0.05  # the probability by chance at which the seeds of a sign test decide


@dataclass(frozen=True)
class Verdict:
    claim: Claim
    scale: str
    verdict: str
    values: Values
    interval: Interval | None
    why: str = ""
    fixed_before: bool = True  # whether the criterion is in the records of the runs it judges


def judge(claim: Claim, evidence: Evidence | None, scale: str) -> Verdict:
    """The verdict that the evidence of one scale (None: there is none) gives on one claim."""
    if evidence is None:
        return Verdict(claim, scale, "not run", [], None, "no published evidence")
    fixed = {row["hash"] for row in evidence.criteria}
    return replace(_judge(claim, evidence, scale), fixed_before=criterion_hash(claim) in fixed)


def _judge(claim: Claim, evidence: Evidence, scale: str) -> Verdict:
    values: Values = metric(claim)(evidence, claim)
    if not values:
        return Verdict(claim, scale, "not run", [], None, "no run to judge it by")
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        why = f"target never reached (or run diverged) in {values.count(None)} of {len(values)}"
        return Verdict(claim, scale, "inconclusive" if known else "fails", values, None, why)
    if claim["criterion"]["over"] == "every":
        met = [meets(v, claim["criterion"]) for v in known]
        return Verdict(claim, scale, "holds" if all(met) else "fails", values, None)
    if any(isinstance(v, Above) for v in known):
        return _judge_bounds(claim, scale, known)
    if len(known) < claim["n"]:
        why = f"{len(known)} seeds where {claim['n']} were fixed"
        return Verdict(claim, scale, "inconclusive", values, t_interval(known), why)
    if claim["criterion"]["over"] == "sign":
        return _judge_signs(claim, scale, known)
    return _judge_interval(claim, scale, known)


def _judge_bounds(claim: Claim, scale: str, values: Sequence[float]) -> Verdict:
    """Bounds have no interval: a sign test decides, for which DECIDING seeds must agree."""
    met = [claim["criterion"]["op"] == ">" and meets(v, claim["criterion"]) for v in values]
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
    """A sign test: how many seeds satisfy the criterion decides, not by how much."""
    count, n = sum(meets(v, claim["criterion"]) for v in values), len(values)
    word = "holds" if by_chance(count, n) <= RARE else "inconclusive"
    word = "fails" if by_chance(n - count, n) <= RARE else word
    return Verdict(claim, scale, word, list(values), t_interval(values), f"{count} of {n} seeds")


def meets(value: float, criterion: Mapping[str, Any]) -> bool:
    """Whether one number satisfies a criterion such as {op: "<", value: 1.0e-12}."""
    limit = criterion["value"]
    return value > limit if criterion["op"] == ">" else value < limit
