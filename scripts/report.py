"""results/REPORT.md, results/claims.json, the README's tables and a page, from committed evidence.

python -m scripts.report
"""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby

from bnrepro import ROOT
from bnrepro.cli import guard, no_arguments
from bnrepro.errors import UserError
from bnrepro.evidence.ledger import Judged, Ledger, read_ledger
from bnrepro.evidence.verdicts import Verdict
from bnrepro.files import write_atomically
from bnrepro.plots.bench import sentences
from bnrepro.plots.claims import WORDS, as_json, count_words
from bnrepro.plots.page import page
from bnrepro.plots.report import minutes, report_text
from bnrepro.plots.tables import markdown

REPORT = "results/REPORT.md"
PAGE = "results/runs/report.html"  # megabytes of figures: not committed


def main() -> None:
    """Write every file that this script keeps, and the page."""
    no_arguments()
    texts = documents()
    target = ROOT / PAGE
    texts[PAGE] = page(texts[REPORT], (ROOT / REPORT).parent, target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_atomically(ROOT / path, text)
        print(path)


def documents() -> dict[str, str]:
    """Every committed file that this script keeps, as it should read."""
    ledger = read_ledger()
    blocks = {
        "verdicts": verdict_table(ledger),
        "experiments": experiment_table(ledger),
        "speed": sentences(ROOT / "results" / "bench"),
    }
    return {
        REPORT: report_text(ledger),
        "results/claims.json": json.dumps(list(map(as_json, ledger.verdicts)), indent=1) + "\n",
        "README.md": fill((ROOT / "README.md").read_text("utf-8"), blocks),
    }


NAMED = 3  # claims of a section that the README names


def verdict_table(ledger: Ledger) -> str:
    """A line a section of the paper, 4.2 with its parts: how many claims hold, and which fail.

    Claims of no experiment, which are on ImageNet, count with the last section.
    """
    rows = [["section", "experiments, scale", "claims", *WORDS, "which fail"]]
    judging = [each for each in ledger.experiments if each.verdicts]
    for section, group in groupby(judging, section_of):
        of_section = list(group)
        names = ", ".join(f"`{each.experiment.stem}` {scale_text(each)}" for each in of_section)
        verdicts = [v for each in of_section for v in each.verdicts]
        if of_section[-1] is judging[-1]:
            verdicts += ledger.beyond
        rows.append([section, names, *numbers(verdicts)])
    return markdown(rows)


def section_of(judged: Judged) -> str:
    """The section, and of 4.2.1 and its like the one that they are parts of."""
    return ".".join(judged.experiment.section.split(".")[:2])


def scale_text(judged: Judged) -> str:
    """The scale of the evidence, or of the claims that wait for it."""
    if judged.evidence is not None:
        return judged.scale
    return f"{judged.scale} (not run)" if "scale" in judged.verdicts[0].claim else "(not run)"


def numbers(verdicts: Sequence[Verdict]) -> list[str]:
    """How many claims, how many of each verdict, and the first of those that fail."""
    failing = [f"`{v.claim['id']}`" for v in verdicts if v.verdict == "fails"]
    more = f" and {len(failing) - NAMED} more" * (len(failing) > NAMED)
    counts = [len(verdicts), *count_words(verdicts).values()]
    return [*map(str, counts), ", ".join(failing[:NAMED]) + more or "–"]


def experiment_table(ledger: Ledger) -> str:
    """A line an experiment and scale with evidence on claims: question, command, figure, answer."""
    rows = [["section", "question", "command", "minutes", "figure", "answer"]]
    judged = [each for each in ledger.experiments if each.evidence is not None and each.verdicts]
    first = {each.experiment.stem: each for each in reversed(judged)}
    rows += [experiment_row(each, each is first[each.experiment.stem]) for each in judged]
    return markdown(rows, "---")


def experiment_row(judged: Judged, named: bool) -> list[str]:
    """The cells of one experiment; a GPU is named beside the minutes.

    `named`: this is the scale that the command takes where none is given.
    """
    experiment, evidence = judged.experiment, judged.evidence
    assert evidence is not None
    name = next(iter(experiment.figures.FIGURES))
    link = f"[{name}](results/{experiment.stem}/{judged.scale}/{name}.png)"
    scale = "" if named else f" SCALE={judged.scale}"
    command = f"`make {experiment.stem.replace('_', '-')}{scale}`"
    gpus = {row["hardware"] for row in evidence.runs if "cores" not in row["hardware"]}
    time = ", ".join([minutes(evidence), *sorted(gpus)])
    answer = experiment.figures.answer(evidence)
    return [experiment.section, experiment.question, command, time, link, answer]


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Replace the content between `<!-- begin name -->` and `<!-- end name -->`.

    Raises a UserError for a text with no place for a block, or two.
    """
    for name, content in blocks.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise UserError(f"README.md: exactly one pair {begin.strip()} … {end} is needed")
        head, rest = text.split(begin)
        text = head + begin + content.strip() + "\n" + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    guard(main)
