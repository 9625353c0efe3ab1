"""From evidence to verdicts: each claim's metric, its interval over seeds, what the criterion says.

`holds`: the criterion is met; `fails`: the interval lies wholly outside, or one value of a
criterion on every value does, or `against` reached the target and no seed of `arm` did;
`inconclusive`: neither; `not
run`: no evidence, or none of the arms it compares. The scale belongs to every verdict.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnrepro.evidence.statistics import Above, Interval, Values, t_interval


@dataclass(frozen=True)
class Verdict:
    claim: Mapping[str, Any]
    scale: str
    verdict: str
    values: Values
    interval: Interval | None
    why: str = ""


def judge(claim: Mapping[str, Any], evidence: Any, scale: str) -> Verdict:
    """The verdict that the evidence of one scale (None: there is none) gives on one claim."""
    if evidence is None:
        return Verdict(claim, scale, "not run", [], None, "no published evidence")
    values = metric(claim)(evidence, claim)
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
    return _judge_interval(claim, scale, known)


def _judge_bounds(claim: Mapping[str, Any], scale: str, values: Sequence[float]) -> Verdict:
    """Lower bounds have no interval: only that all of them are beyond the criterion tells."""
    met = [claim["criterion"]["op"] == ">" and meets(v, claim["criterion"]) for v in values]
    word = "holds" if all(met) and len(values) >= claim["n"] else "inconclusive"
    return Verdict(claim, scale, word, list(values), None)


def metric(claim: Mapping[str, Any]) -> Callable[[Any, Mapping[str, Any]], Values]:
    """The function that a claim's `metric` names, in the analysis of its experiment."""
    return getattr(
        importlib.import_module(f"experiments.{claim['experiment']}.metrics"), claim["metric"]
    )


def _judge_interval(claim: Mapping[str, Any], scale: str, values: Sequence[float]) -> Verdict:
    interval = t_interval(values)
    if len(values) < claim["n"]:
        why = f"{len(values)} seeds where {claim['n']} were fixed"
        return Verdict(claim, scale, "inconclusive", list(values), interval, why)
    bounds = [b for b in (interval.low, interval.high) if b is not None] or [interval.mean]
    met = [meets(bound, claim["criterion"]) for bound in bounds]
    word = "holds" if all(met) else "inconclusive" if any(met) else "fails"
    return Verdict(claim, scale, word, list(values), interval)


def meets(value: float, criterion: Mapping[str, Any]) -> bool:
    """Whether one number satisfies a criterion such as {op: "<", value: 1.0e-12}."""
    limit = criterion["value"]
    return value > limit if criterion["op"] == ">" else value < limit
