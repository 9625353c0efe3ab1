"""results/REPORT.md: does the paper hold? In the paper's order, from the ledger alone."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from bnrepro import ROOT
from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.ledger import Judged, Ledger
from bnrepro.evidence.statistics import known
from bnrepro.evidence.verdicts import Verdict
from bnrepro.files import parse_yaml
from bnrepro.plots.claims import corrected_text, measured, number, worded
from bnrepro.plots.summary import summary
from bnrepro.plots.tables import left_table

SECTIONS = {  # of the paper
    "1": "Introduction",
    "2": "Towards reducing internal covariate shift",
    "3": "Normalization via mini-batch statistics",
    "3.1": "Training and inference",
    "3.2": "Convolutional networks",
    "3.3": "Higher learning rates",
    "3.4": "Regularization",
    "4.1": "Activations over time (MNIST)",
    "4.2": "ImageNet classification (Inception)",
    "4.2.1": "The changes that come with Batch Normalization",
    "4.2.2": "Single networks",
    "4.2.3": "Ensembles",
}
SHOWN = 20  # values of a claim that are listed one by one
HOW = """\
- Each claim has a criterion that was committed before the runs it judges; where that is not so, the
  verdict says *stated after the runs*.
- *Holds*: the whole 95 % t-interval of the mean over seeds meets the criterion; or, as the
  criterion asks, every value does, or more seeds than chance would give in one of twenty cases.
  *Fails*: none of the interval does, or one value that should does not, or as many seeds speak
  against it; or some seeds never reach a target, and none of the others meets the criterion.
  *Inconclusive*: neither.
- Below the paper's own scale *holds* becomes *direction holds*: the effect points the way the paper
  says, in a smaller network and on other images. That reproduces none of the paper's numbers.
- Two arms that are compared have the same initial weights, the same order of data and the same
  tuning budget for each seed, but for what the comparison is about: a start of another kind or
  scale, another shuffling, the faster decay of BN-x5 that ends a run earlier, the best of several
  rates. Differences and ratios are taken seed by seed. Intervals are over seeds, for the one test
  set, where no other kind is named.
- Training amplifies a rounding: made anew on another machine or with other libraries, runs end
  elsewhere, and a verdict whose interval nearly reaches its criterion can change (*What was changed
  after which evidence* tells where that happened).
- Among many tests some succeed by chance. *After Holm* is the verdict that is left when the 5 % are
  shared out over all claims that were tested, with the corrected p-value. Three seeds rarely
  survive that, five only where the effect is clear; a sign test over five seeds never does, for its
  p-value is 1/32 at best, whatever the effect. The p-value is that of the test that gave the
  verdict: of the t-interval (two-sided), or a sign test over the seeds where the criterion asks for
  one or for every value, or where a target was not reached. Equations have no p-value."""


def report_text(ledger: Ledger) -> str:
    """The whole page."""
    below = chapters(ledger)
    contents = " · ".join(f"[{title}](#{slug(title)})" for title, _ in below)
    parts = ["# Does the paper hold?", summary(ledger), f"Contents: {contents}"]
    parts += [f"## {title}\n\n{text.strip()}" for title, text in below]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def chapters(ledger: Ledger) -> list[tuple[str, str]]:
    """Headings and texts below the summary, in order."""
    by_section = groupby(ledger.experiments, lambda judged: judged.experiment.section)
    changes = (ROOT / "configs/CHANGES.md").read_text("utf-8").partition("\n")[2]
    found = [("How to read this", HOW)]
    for section, group in by_section:
        title = f"Section {section}: {SECTIONS.get(section, '')}".rstrip(": ")
        found.append((title, "\n\n".join(map(experiment_text, group))))
    return [
        *found,
        ("What no experiment here can judge", beyond_table(ledger.beyond)),
        ("Beside the numbers of others", "\n\n".join(others(ledger.experiments))),
        ("What the paper leaves open, and what we assume", assumptions()),
        ("Where and on what it was run", runs_table(ledger.experiments)),
        ("What was changed after which evidence", changes),
        ("Every value", values_table(ledger.verdicts)),
    ]


def slug(title: str) -> str:
    """The anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


# --- an experiment -------------------------------------------------------------------------------


def experiment_text(judged: Judged) -> str:
    """Question, answer, figures, claims, reasons, and what is not shown."""
    experiment, verdicts = judged.experiment, judged.verdicts
    named = bool(verdicts) and all("scale" in v.claim for v in verdicts)
    heading = f"{experiment.question} Scale {judged.scale}" if named else experiment.question
    parts = [f"### {heading}", where(judged)]
    if judged.evidence is None:
        return "\n\n".join([*parts, waiting_list(verdicts)])
    parts += ["**Found.** " + experiment.figures.answer(judged.evidence), *figures(judged)]
    if verdicts:
        parts += [claims_table(verdicts).strip(), reasons(verdicts), not_shown(verdicts)]
    return "\n\n".join(filter(None, parts))


def where(judged: Judged) -> str:
    """The command, and the scale, data and machine of the committed evidence."""
    experiment, evidence = judged.experiment, judged.evidence
    command = f"`make {experiment.stem.replace('_', '-')}`"
    if evidence is None:
        named = f", scale {judged.scale}" if "scale" in judged.verdicts[0].claim else ""
        return f"{command}{named}. Criteria are committed; no evidence is published yet."
    made_on = ", ".join(unique(evidence.runs, "hardware"))
    return f"{command} · scale: {judged.scale} · data: {evidence.data} · machine: {made_on}"


def figures(judged: Judged) -> Iterable[str]:
    """Every committed figure with its caption below it."""
    for name, draw in judged.experiment.figures.FIGURES.items():
        path = f"{judged.experiment.stem}/{judged.scale}/{name}.png"
        if (ROOT / "results" / path).exists():
            yield f"![{name}]({path})\n\n*{caption(draw)}*"


def caption(draw: Callable[..., Any]) -> str:
    """The first paragraph of a figure function's docstring."""
    return " ".join((inspect.getdoc(draw) or "").split("\n\n")[0].split()).replace("*", "\\*")


def claims_table(verdicts: Sequence[Verdict]) -> str:
    """A row a claim, in the order of its file."""
    rows = [["claim", "the paper", "here, mean [95 % interval]", "n", "verdict", "after Holm"]]
    for v in verdicts:
        claim = f"{v.claim['claim'].strip()} (`{v.claim['id']}`, {v.claim['section']})"
        count = str(len(v.values)) if v.values else "–"
        verdict = f"**{worded(v)}**"
        rows.append([claim, v.claim["paper"], measured(v), count, verdict, corrected_text(v)])
    return left_table(rows)


def waiting_list(verdicts: Sequence[Verdict]) -> str:
    """A bullet a claim whose runs are not published."""
    return "\n".join(
        f"- {v.claim['claim'].strip()} (`{v.claim['id']}`; the paper: {v.claim['paper']})"
        for v in verdicts
    )


def reasons(verdicts: Sequence[Verdict]) -> str:
    """Why claims do not hold, where the claims file says so for this scale."""
    lines = [
        f"- `{v.claim['id']}`: {v.claim['reason'][v.scale].strip()}"
        for v in verdicts
        if v.verdict != "holds" and v.scale in v.claim.get("reason", {})
    ]
    return "**Why.**\n\n" + "\n".join(lines) if lines else ""


def not_shown(verdicts: Sequence[Verdict]) -> str:
    """What these claims leave open, each remark once, with the claims that it belongs to."""
    remarks: dict[str, list[str]] = {}
    for v in verdicts:
        remarks.setdefault(v.claim.get("not_shown", "").strip(), []).append(f"`{v.claim['id']}`")
    lines = [f"- {', '.join(ids)}: {remark}" for remark, ids in remarks.items() if remark]
    return "**What this does not show.**\n\n" + "\n".join(lines) if lines else ""


# --- the other chapters --------------------------------------------------------------------------


def beyond_table(verdicts: Sequence[Verdict]) -> str:
    """A row a claim that belongs to no experiment."""
    rows = [["section", "claim", "the paper", "why not"]]
    for v in verdicts:
        claim = f"{v.claim['claim'].strip()} (`{v.claim['id']}`)"
        rows.append([v.claim["section"], claim, v.claim["paper"], v.why])
    return left_table(rows)


def others(experiments: Sequence[Judged]) -> Iterable[str]:
    """The tables of `configs/<experiment>/published.yaml`, ours as the last row where it fits."""
    for judged in experiments:
        path = ROOT / "configs" / judged.experiment.stem / "published.yaml"
        for entry in parse_yaml(path.read_text("utf-8")) if path.exists() else []:
            rows = [entry["header"], *entry["rows"]]
            if "ours" in entry and (evidence := judged.evidence) is not None:
                made = f"{evidence.data}, scale {judged.scale}, {len(all_seeds(evidence))} seeds"
                rows.append([f"**here**, {made}", *means(evidence, **entry["ours"])])
            remark = entry.get("remark", "").strip()
            yield f"{entry['title']}\n\n{left_table(rows)}\n{remark}".strip()


def means(evidence: Evidence, column: str, arms: Sequence[str]) -> list[str]:
    """The mean over seeds of a column of the runs, a text an arm, in per cent."""
    found = (known(run[column] for run in evidence.where("runs", variant=arm)) for arm in arms)
    return [f"{100 * fmean(values):.1f}" if values else "–" for values in found]


def assumptions() -> str:
    """What `configs/README.md` says of them."""
    text = (ROOT / "configs/README.md").read_text("utf-8")
    return text.split("## What the paper leaves open\n")[1].split("\n## ")[0]


def runs_table(experiments: Sequence[Judged]) -> str:
    """A row an experiment with evidence."""
    rows = [["experiment", "scale", "data", "seeds", "machine", "PyTorch", "minutes",
             "peak MB", "commit"]]  # fmt: skip
    for judged in experiments:
        if (evidence := judged.evidence) is not None:
            runs = evidence.runs
            version, commits = (
                ", ".join(sorted({str(r[c])[:10] for r in runs if c in r})) or "–"
                for c in ("torch", "commit")
            )
            seeds, machine = seed_text(all_seeds(evidence)), ", ".join(unique(runs, "hardware"))
            what = [f"`{judged.experiment.stem}`", judged.scale, evidence.data, seeds, machine]
            peak = max((r["peak_mb"] for r in runs if r.get("peak_mb")), default="–")
            rows.append([*what, version, minutes(evidence), str(peak), commits])
    return (
        "Every run was made from a commit without local changes. Minutes are those of all threads "
        "for sweeps; of training without evaluation for the others. Peak MB is the most memory of "
        "one process; older records do not have it. Seeds from 1,000 on are those "
        "of tuning.\n\n" + left_table(rows)
    )


def seed_text(seeds: Sequence[int]) -> str:
    """Seeds as a reader counts them: `0 to 4, 1000`; a dash where nothing is drawn."""
    consecutive = groupby(enumerate(seeds), lambda pair: pair[1] - pair[0])
    runs = [[seed for _, seed in group] for _, group in consecutive]
    texts = (str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
    return ", ".join(texts) or "–"


def minutes(evidence: Evidence) -> str:
    """Minutes of measuring or training: of all threads for a sweep, of the clock for runs.

    Networks trained together share their time.
    """
    rows = evidence.runs if "wall_s" in evidence.runs[0] else evidence.cells
    seconds = [
        row.get("cpu_s") or (row.get("wall_s") or 0) / row.get("trained_together", 1)
        for row in rows
    ]
    return f"{sum(seconds) / 60:.1f}" if any(seconds) else "–"


def values_table(verdicts: Sequence[Verdict]) -> str:
    """A row a claim that was judged: metric, criterion, test, every value."""
    rows = [["claim", "metric", "criterion", "n fixed", "test", "p", "values"]]
    for v in verdicts:
        if v.values:
            claim = v.claim
            criterion = "{over} {op} {value}".format(**claim["criterion"])
            arms = " against ".join(str(claim[k]) for k in ("arm", "against") if k in claim)
            name = f"`{claim['metric']}`" + (f", {arms}" if arms else "")
            p = "–" if v.p is None else f"{v.p:.2g}"
            test = [str(claim["n"]), v.test or "–", p]
            rows.append([f"`{claim['id']}`", name, criterion, *test, values_text(v)])
    return "A metric whose name begins with `log_` is a natural logarithm.\n\n" + left_table(rows)


def values_text(verdict: Verdict) -> str:
    """Every value; of many, how many there are and their range."""
    values = verdict.values
    if len(values) <= SHOWN:
        return ", ".join(map(number, values))
    there = known(values)
    return f"{len(values)} values, {number(min(there))} to {number(max(there))}"
