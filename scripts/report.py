"""results/REPORT.md, results/claims.json and the README's tables, from the committed evidence.

python -m scripts.report
"""

import functools
import json
from collections.abc import Mapping, Sequence

from bnrepro import ROOT
from bnrepro.cli import guard, no_arguments
from bnrepro.config.claims import Claim, read_claims
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.evidence.verdicts import Verdict, judge
from bnrepro.experiment import Experiment, discover
from bnrepro.files import write_atomically
from bnrepro.plots.claims import as_json, report_text
from bnrepro.plots.tables import markdown

SCALES = ("paper", "gpu", "small")  # the most telling evidence first
WORDS = ("holds", "fails", "inconclusive", "not run")
read = functools.cache(load)


def main() -> None:
    """Write every file that this script keeps."""
    no_arguments()
    for path, text in documents().items():
        write_atomically(ROOT / path, text)
        print(path)


def documents() -> dict[str, str]:
    """Every file that this script keeps, as it should read."""
    verdicts = {stem: [verdict_on(c) for c in read_claims(stem)] for stem in in_papers_order()}
    every = [verdict for each in verdicts.values() for verdict in each]
    blocks = {"verdicts": verdict_table(verdicts), "experiments": experiment_table()}
    return {
        "results/REPORT.md": report_text(every),
        "results/claims.json": json.dumps([as_json(v) for v in every], indent=1) + "\n",
        "README.md": fill((ROOT / "README.md").read_text("utf-8"), blocks),
    }


def in_papers_order() -> dict[str, Experiment]:
    """All experiments by the section of the paper."""
    return dict(sorted(discover().items(), key=lambda item: (item[1].section, item[0])))


def published(stem: str) -> list[str]:
    """The scales with committed evidence, the most telling first."""
    return [s for s in SCALES if (ROOT / "results" / stem / s / "table.md").exists()]


def verdict_on(claim: Claim) -> Verdict:
    """The verdict from the scale that the claim names, or the most telling one with evidence."""
    stem, named = claim["experiment"], claim.get("scale")
    if named is not None:
        found = (ROOT / "results" / stem / named / "table.md").exists()
        return judge(claim, read(stem, named) if found else None, named)
    for scale in published(claim["experiment"]):
        return judge(claim, read(claim["experiment"], scale), scale)
    return judge(claim, None, "paper")


def verdict_table(verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    """A line an experiment and scale: how many of its claims hold, and which do not."""
    rows = [["section", "experiment", "scale", "claims", *WORDS, "which do not hold"]]
    for stem, all_of_them in verdicts.items():
        for scale in dict.fromkeys(verdict.scale for verdict in all_of_them):
            each = [verdict for verdict in all_of_them if verdict.scale == scale]
            counts = [str(sum(v.verdict == word for v in each)) for word in WORDS]
            failing = ", ".join(f"`{v.claim['id']}`" for v in each if v.verdict != "holds") or "–"
            section = discover()[stem].section
            rows.append([section, f"`{stem}`", scale, str(len(each)), *counts, failing])
    return markdown(rows)


def experiment_table() -> str:
    """A line an experiment: its question, command, time, first figure and answer."""
    rows = [["section", "question", "command", "minutes", "figure", "answer"]]
    for stem, experiment in in_papers_order().items():
        for scale in published(stem)[:1]:
            evidence, figures = read(stem, scale), experiment.figures
            name = next(iter(figures.FIGURES))
            link = f"[{name}](results/{stem}/{scale}/{name}.png)"
            command = f"`make {stem.replace('_', '-')}`"
            answer = figures.answer(evidence)
            row = [
                experiment.section,
                experiment.question,
                command,
                minutes(evidence),
                link,
                answer,
            ]
            rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * 6, *rows[1:]])


def minutes(evidence: Evidence) -> str:
    """Minutes of measuring or training: of all threads for a sweep, of the clock for runs.

    Networks trained together share their time. A GPU is named.
    """
    rows = evidence.runs if "wall_s" in evidence.runs[0] else evidence.cells
    seconds = [
        row.get("cpu_s") or (row.get("wall_s") or 0) / row.get("trained_together", 1)
        for row in rows
    ]
    if not any(seconds):
        return "–"
    hardware = {row["hardware"] for row in rows if "cores" not in row["hardware"]}
    return ", ".join([f"{sum(seconds) / 60:.1f}", *sorted(hardware)])


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Replace the content between `<!-- begin name -->` and `<!-- end name -->`.

    Raises:
        UserError: the text has no place for a block, or two.
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
