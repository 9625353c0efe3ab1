"""The first half page of the report: what holds, what does not, what could not be judged."""

from collections.abc import Sequence

from bnrepro.evidence.ledger import Ledger
from bnrepro.evidence.significance import LEVEL
from bnrepro.evidence.verdicts import Verdict
from bnrepro.plots.claims import WORDS, count_words, measured, worded
from bnrepro.plots.tables import left_table

INTRODUCTION = (
    "*Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate "
    "Shift* (Ioffe & Szegedy 2015), claim by claim. `make report` writes every number below from "
    "committed records of runs that anyone can repeat."
)


def summary(ledger: Ledger) -> str:
    """Counts, and a table of the headline claims by their verdicts."""
    lost = [v for v in headlines(ledger) if v.corrected != v.verdict]
    star = "\\* Inconclusive after Holm's correction for the number of tests." if lost else ""
    parts = [INTRODUCTION, counts(ledger.verdicts), scales(ledger), headline_table(ledger), star]
    return "\n\n".join(filter(None, parts))


def counts(verdicts: Sequence[Verdict]) -> str:
    """How many claims there are of each verdict, and how many survive the correction."""
    n = count_words(verdicts)
    exact = [v for v in verdicts if v.claim["kind"] == "exact" and v.values]
    exact_hold = sum(v.verdict == "holds" for v in exact)
    tested = [v for v in verdicts if v.p is not None]
    decided = [v for v in tested if v.verdict != "inconclusive"]
    left = sum(v.adjusted is not None and v.adjusted < LEVEL for v in decided)
    return (
        f"Of {len(verdicts)} claims {n['holds']} hold, {n['fails']} fail and {n['inconclusive']} "
        f"are inconclusive. {n['not run']} have a criterion but no published runs, and "
        f"{n['not testable here']} cannot be tested here. Of {len(exact)} equations and counts "
        f"{exact_hold} hold. {len(tested)} claims rest on a test over seeds, which decides "
        f"{len(decided)} of them; {left} stay decided after Holm's correction for {len(tested)} "
        "tests."
    )


def scales(ledger: Ledger) -> str:
    """Which experiments ran at the paper's own size."""
    full = [j for j in ledger.experiments if j.evidence is not None and j.scale == "paper"]
    sections = ", ".join(dict.fromkeys(j.experiment.section for j in full if j.verdicts))
    where = f"Section {sections} ran at the paper's own size" if sections else "Nothing ran at it"
    return (
        f"{where}. Elsewhere networks, images and budgets are smaller: there *direction holds* "
        "says that the effect points the claimed way, and confirms no number of the paper."
    )


def headlines(ledger: Ledger) -> list[Verdict]:
    """The claims that the first page shows: what holds first, what was not judged last."""
    found = [v for v in ledger.verdicts if v.claim.get("headline")]
    return sorted(found, key=lambda v: WORDS.index(v.verdict))


def headline_table(ledger: Ledger) -> str:
    """A row a headline claim."""
    rows = [["section", "claim", "the paper", "here, mean [95 % interval]", "n", "verdict"]]
    for v in headlines(ledger):
        star = " \\*" if v.corrected != v.verdict else ""
        claim = f"{v.claim['headline']} (`{v.claim['id']}`)"
        verdict = f"**{worded(v)}**{star}"
        n = str(len(v.values) or "–")
        rows.append([v.claim["section"], claim, v.claim["paper"], measured(v), n, verdict])
    return left_table(rows)
