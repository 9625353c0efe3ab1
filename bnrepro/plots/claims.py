"""The report: every claim beside the paper's value, what was measured, and the verdict."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from bnrepro.evidence.statistics import Above, exponential
from bnrepro.evidence.verdicts import Verdict
from bnrepro.plots.tables import markdown

LOGARITHMS = {  # metrics that are logarithms of a ratio, and how the ratio reads
    "log_steps_ratio": "{} times as fast, in steps",
    "log_steps_ratio_to_plain": "{} times as fast, in steps",
    "log_seconds_ratio": "{} times as fast, in seconds",
    "log_median_drift": "{} times the drift",
    "log_spread_drift": "{} times the drift",
    "log_bias_growth": "{} times the bias of halfway",
    "log_growth": "{} times the growth",
    "log_gaussian_distance": "{} times the distance of u",
    "log_skewness": "{} times the skewness of u",
    "log_shape_change": "{} times the change of u",
}
SHARES = {  # metrics that are shares, and how they read in percent
    "final_accuracy_gain": "{} percentage points",
    "max_accuracy_gain": "{} percentage points",
    "moving_gap": "{} percentage points",
    "factor_gain": "{} percentage points",
    "accuracy_gain": "{} percentage points",
    "share_gain": "{} percentage points",
    "zeros_gap": "{} percentage points",
    "above_chance": "{} percentage points above chance",
    "lowest_accuracy": "{} % accuracy",
    "non_finite_parameters": "{} % of the parameters",
    "variance_error": "{} % from the true variance",
    "x_hat_variance_error": "{} % from 1",
}
UNITS = {  # other metrics that have a unit
    "fold_error": "{} machine epsilons",
    "blown_up_rates": "{} cells",
    "extra_blown_up_cells": "{} cells",
}


def measured(verdict: Verdict) -> str:
    """The interval in the claim's own unit."""
    interval, metric = verdict.interval, verdict.claim["metric"]
    if any(isinstance(v, Above) for v in verdict.values):
        ratios = ", ".join(number(v, math.exp) for v in verdict.values)
        return LOGARITHMS[metric].format(ratios)
    if interval is None:
        return verdict.why or _extremes(verdict)
    if metric in LOGARITHMS:
        return LOGARITHMS[metric].format(exponential(interval).text(2))
    if metric in SHARES:
        return SHARES[metric].format(interval.times(100).text(2))
    return UNITS.get(metric, "{}").format(interval.text(2))


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
    metric = verdict.claim["metric"]
    if metric in SHARES:
        text = SHARES[metric].format(f"{100 * worst:.3g}")
    else:
        text = UNITS.get(metric, "{}").format(f"{worst:.3g}")
    return f"{word} {text} over {len(known)} values"


def worded(verdict: Verdict) -> str:
    """The verdict with its scale: a reduced scale shows a direction, never a reproduction."""
    if verdict.verdict == "not run":
        return "not run"
    if verdict.claim["kind"] == "exact":
        return verdict.verdict  # an identity has no scale
    reduced = verdict.verdict == "holds" and verdict.scale != "paper"
    return f"{'direction holds' if reduced else verdict.verdict} at scale {verdict.scale}"


def claims_table(verdicts: Sequence[Verdict]) -> str:
    rows = [["section", "claim", "the paper", "measured, mean [95 % interval]", "verdict"]]
    for v in verdicts:
        claim = v.claim
        text = f"{claim['claim'].strip()} (`{claim['id']}`)"
        rows.append([claim["section"], text, claim["paper"], measured(v), f"**{worded(v)}**"])
    header = markdown(rows).splitlines()
    header[1] = "| --- | --- | --- | --- | --- |"
    return "\n".join(header) + "\n"


def counts_table(verdicts: Sequence[Verdict]) -> str:
    """How the claims of each experiment came out, for a page that has no room for all of them."""
    words = ("holds", "fails", "inconclusive", "not run")
    rows = [["experiment", "claims", *words, "which do not hold"]]
    for experiment in dict.fromkeys(v.claim["experiment"] for v in verdicts):
        own = [v for v in verdicts if v.claim["experiment"] == experiment]
        counts = [str(sum(v.verdict == word for v in own)) for word in words]
        scale = own[0].scale
        failing = ", ".join(f"`{v.claim['id']}`" for v in own if v.verdict != "holds") or "–"
        rows.append([f"`{experiment}`, scale {scale}", str(len(own)), *counts, failing])
    return markdown(rows)


def report_text(verdicts: Sequence[Verdict]) -> str:
    """results/REPORT.md."""
    parts = [
        "# Report",
        "Written by `make report` from the committed evidence under `results/`. Criteria stand in "
        "[configs/claims.yaml](../configs/claims.yaml) and were committed before the runs they "
        "judge; intervals are over seeds, paired where two arms are compared, and conditional on "
        "the one test set.",
        claims_table(verdicts),
        "## Every seed",
        _values_table(verdicts),
        "## Where a claim does not hold, and why",
        "\n".join(
            f"- `{v.claim['id']}` ({worded(v)}): {v.claim['reason'][v.scale].strip()}"
            for v in verdicts
            if v.verdict in ("fails", "inconclusive") and v.scale in v.claim.get("reason", {})
        ),
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
        arms = " against ".join(claim[key] for key in ("arm", "against") if key in claim)
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
        "why": verdict.why,
    }
