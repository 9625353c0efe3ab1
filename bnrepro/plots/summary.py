"""The first half page of the report: what holds, what does not, what could not be judged."""

from collections.abc import Sequence

from bnrepro.evidence.ledger import Ledger
from bnrepro.evidence.significance import LEVEL
from bnrepro.evidence.verdicts import Verdict
from bnrepro.plots.claims import WORDS, count_words, measured

INTRODUCTION = (
    "*Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate "
    "Shift* (Ioffe & Szegedy 2015), claim by claim. `make report` writes every number below from "
    "committed records of runs that anyone can repeat."
)
HEADINGS = (  # the first two for what holds, then in the order of WORDS
    "Holds",
    "Holds as a direction, in smaller networks",
    "Fails here",
    "Inconclusive here",
    "Not run yet",
    "Not testable here",
)


def summary(ledger: Ledger) -> str:
    """Counts, and the headline claims under their verdicts."""
    headlines = [v for v in ledger.verdicts if v.claim.get("headline")]
    parts = [INTRODUCTION, counts(ledger.verdicts), scales(ledger)]
    for heading in HEADINGS:
        lines = [bullet(v) for v in headlines if heading_of(v) == heading]
        if lines:
            parts.append(f"**{heading}**\n\n" + "\n".join(lines))
    if any(v.corrected != v.verdict for v in headlines):
        parts.append("\\* Inconclusive after Holm's correction for the number of tests.")
    return "\n\n".join(parts)


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
        f"{where}. Elsewhere networks, images and budgets are smaller: there *holds* "
        "says that the effect points the claimed way, and confirms no number of the paper."
    )


def heading_of(verdict: Verdict) -> str:
    """Under which heading a claim stands."""
    if verdict.verdict != "holds":
        return HEADINGS[WORDS.index(verdict.verdict) + 1]
    return HEADINGS[0 if verdict.claim["kind"] == "exact" or verdict.scale == "paper" else 1]


def bullet(verdict: Verdict) -> str:
    """A claim in a few words, what was measured or why nothing was, and its section."""
    section = verdict.claim["section"].partition(",")[0]
    star = " \\*" if verdict.corrected != verdict.verdict else ""
    text = measured(verdict).rstrip(".")
    late = "" if verdict.fixed_before or not verdict.values else "; stated after the runs"
    return (
        f"- **{verdict.claim['headline']}.** {text[0].upper()}{text[1:]}{star} "
        f"(Section {section}{late})."
    )
