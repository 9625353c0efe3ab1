"""A claim in words: what was measured, and the verdict."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bnrepro.evidence.statistics import Above, exponential
from bnrepro.evidence.verdicts import Verdict

WORDS = ("holds", "fails", "inconclusive", "not run", "not testable here")
KEYS = ("id", "section", "experiment", "metric", "kind", "n")  # of a claim, in claims.json


def measured(verdict: Verdict) -> str:
    """The interval in the claim's unit."""
    interval = verdict.interval
    if any(isinstance(v, Above) for v in verdict.values):
        texts = (number(v, partial(in_unit, verdict)) for v in verdict.values)
        return with_unit(verdict, ", ".join(texts))
    if interval is None:
        return verdict.why or _extremes(verdict)
    signs = f"; {verdict.why}" if verdict.claim["criterion"]["over"] == "sign" else ""
    scaled = exponential(interval) if is_logarithm(verdict) else interval.times(factor(verdict))
    return with_unit(verdict, scaled.text(2)) + signs


def is_logarithm(verdict: Verdict) -> bool:
    """Whether the metric is the logarithm of a ratio, which reads better as the ratio."""
    return verdict.claim["metric"].startswith("log_")


def in_unit(verdict: Verdict, value: float) -> float:
    """A value in the claim's unit."""
    return math.exp(value) if is_logarithm(verdict) else factor(verdict) * value


def factor(verdict: Verdict) -> float:
    """100 for a share that reads in per cent or percentage points."""
    unit = verdict.claim.get("unit", "")
    return 100.0 if unit.startswith(("%", "percentage")) else 1.0


def with_unit(verdict: Verdict, text: str) -> str:
    """A number with the claim's unit behind it."""
    return f"{text} {verdict.claim.get('unit', '')}".strip()


def number(value: float | None, scale: Callable[[float], float] = float) -> str:
    """A value in words where it is not a plain number."""
    if value is None:
        return "never"
    if not isinstance(value, Above):
        return f"{scale(value):.4g}"
    return "not known" if value == -math.inf else f"> {scale(value):.4g}"


def _extremes(verdict: Verdict) -> str:
    """For a criterion on every value: the value that comes nearest to breaking it, or does."""
    known = [v for v in verdict.values if v is not None]
    below, broken = verdict.claim["criterion"]["op"] == "<", verdict.verdict == "fails"
    worst = max(known) if below else min(known)
    word = ("up to" if broken else "at most") if below else ("down to" if broken else "at least")
    return f"{word} {with_unit(verdict, f'{in_unit(verdict, worst):.3g}')}"


def worded(verdict: Verdict) -> str:
    """The verdict with its scale: a reduced scale shows a direction, never a reproduction."""
    if verdict.verdict == "not run" or "untestable" in verdict.claim:
        return verdict.verdict
    late = "" if verdict.fixed_before else ", stated after the runs"
    if verdict.claim["kind"] == "exact":
        return verdict.verdict + late  # an identity has no scale
    reduced = verdict.verdict == "holds" and verdict.scale != "paper"
    return f"{'direction holds' if reduced else verdict.verdict} at scale {verdict.scale}{late}"


def corrected_text(verdict: Verdict) -> str:
    """The verdict after Holm's correction with its p-value; a dash where no test was made."""
    p = verdict.adjusted
    if p is None:
        return "–"
    return f"{verdict.corrected}, p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"


def count_words(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many verdicts there are of each word."""
    return {word: sum(v.verdict == word for v in verdicts) for word in WORDS}


def as_json(verdict: Verdict) -> dict[str, Any]:
    """A line of results/claims.json."""
    interval = verdict.interval
    return {
        **{k: verdict.claim.get(k) for k in KEYS},
        "scale": verdict.scale,
        "verdict": verdict.verdict,
        "values": [number(v) if isinstance(v, Above) else v for v in verdict.values],
        "interval": interval._asdict() if interval else None,
        "test": verdict.test,
        "p": verdict.p,
        "p_holm": verdict.adjusted,
        "verdict_holm": verdict.corrected,
        "fixed_before": verdict.fixed_before,
        "why": verdict.why,
    }
