"""The report: every claim beside the paper's value, what was measured, and the verdict."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from bnrepro import ROOT
from bnrepro.evidence.statistics import Above, exponential
from bnrepro.evidence.verdicts import Verdict
from bnrepro.plots.tables import markdown


def measured(verdict: Verdict) -> str:
    """The interval in the claim's unit."""
    interval = verdict.interval
    if any(isinstance(v, Above) for v in verdict.values):
        return with_unit(verdict, ", ".join(number(v, math.exp) for v in verdict.values))
    if interval is None:
        return verdict.why or _extremes(verdict)
    signs = f"; {verdict.why}" if verdict.claim["criterion"]["over"] == "sign" else ""
    if is_logarithm(verdict):
        return with_unit(verdict, exponential(interval).text(2)) + signs
    return with_unit(verdict, interval.times(factor(verdict)).text(2)) + signs


def is_logarithm(verdict: Verdict) -> bool:
    """Whether the metric is the logarithm of a ratio, which reads better as the ratio."""
    return verdict.claim["metric"].startswith("log_")


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
    """For a criterion on every value: the value that comes nearest to breaking it."""
    known = [v for v in verdict.values if v is not None]
    below = verdict.claim["criterion"]["op"] == "<"
    word, worst = ("at most", max(known)) if below else ("at least", min(known))
    text = with_unit(verdict, f"{factor(verdict) * worst:.3g}")
    return f"{word} {text} over {len(known)} values"


def worded(verdict: Verdict) -> str:
    """The verdict with its scale: a reduced scale shows a direction, never a reproduction."""
    if verdict.verdict == "not run":
        return "not run"
    late = "" if verdict.fixed_before else ", stated after the runs"
    if verdict.claim["kind"] == "exact":
        return verdict.verdict + late  # an identity has no scale
    reduced = verdict.verdict == "holds" and verdict.scale != "paper"
    return f"{'direction holds' if reduced else verdict.verdict} at scale {verdict.scale}{late}"


def claims_table(verdicts: Sequence[Verdict]) -> str:
    rows = [["section", "claim", "the paper", "measured, mean [95 % interval]", "verdict"]]
    for v in verdicts:
        claim = v.claim
        text = f"{claim['claim'].strip()} (`{claim['id']}`)"
        rows.append([claim["section"], text, claim["paper"], measured(v), f"**{worded(v)}**"])
    header = markdown(rows).splitlines()
    header[1] = "| --- | --- | --- | --- | --- |"
    return "\n".join(header) + "\n"


def report_text(verdicts: Sequence[Verdict]) -> str:
    """results/REPORT.md."""
    parts = [
        "# Report",
        "Written by `make report` from the committed evidence under `results/`. Criteria stand in "
        "`configs/<experiment>/claims.yaml` and were committed before the runs they judge, unless "
        "the verdict says otherwise; intervals are over seeds, paired where two arms are compared, "
        "and conditional on the one test set.",
        claims_table(verdicts),
        "## Every seed",
        _values_table(verdicts),
        "## Where a claim does not hold, and why",
        "\n".join(
            f"- `{v.claim['id']}` ({worded(v)}): {v.claim['reason'][v.scale].strip()}"
            for v in verdicts
            if v.verdict != "holds" and v.scale in v.claim.get("reason", {})
        ),
        (ROOT / "configs/CHANGES.md").read_text("utf-8").replace("# What", "## What", 1),
        "## What a verdict would not show",
        "\n".join(f"- `{v.claim['id']}`: {v.claim['not_shown'].strip()}" for v in verdicts),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _values_table(verdicts: Sequence[Verdict]) -> str:
    rows = [["claim", "metric", "criterion", "n", "values by seed"]]
    for v in verdicts:
        claim = v.claim
        values = ", ".join(map(number, v.values)) or "–"
        criterion = "{over} {op} {value}".format(**claim["criterion"])
        arms = " against ".join(str(claim[k]) for k in ("arm", "against") if k in claim)
        name = f"`{claim['metric']}`" + (f", {arms}" if arms else "")
        rows.append([f"`{claim['id']}`", name, criterion, str(claim["n"]), values])
    return markdown(rows)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """A line of results/claims.json."""
    interval = verdict.interval
    return {
        **{k: verdict.claim[k] for k in ("id", "section", "experiment", "metric", "kind", "n")},
        "scale": verdict.scale,
        "verdict": verdict.verdict,
        "values": [number(v) if isinstance(v, Above) else v for v in verdict.values],
        "interval": interval._asdict() if interval else None,
        "fixed_before": verdict.fixed_before,
        "why": verdict.why,
    }
