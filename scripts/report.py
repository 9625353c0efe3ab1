"""results/REPORT.md, results/claims.json and the README's numbers, from the committed evidence.

python -m scripts.report
"""

import json

from bnrepro.analysis.verdicts import Verdict, judge
from bnrepro.app import guard
from bnrepro.claims import read_claims
from bnrepro.config import ROOT
from bnrepro.record import write_atomically
from bnrepro.report import reporter
from bnrepro.report.claims import as_json, counts_table, report_text
from bnrepro.report.readme import (
    QUESTIONS,
    fill,
    inception_blocks,
    mechanism_block,
    mnist_blocks,
)

SCALES = ("paper", "gpu", "small")  # the most telling evidence first


def main() -> None:
    for path, text in documents().items():
        write_atomically(ROOT / path, text)
        print(path)


def documents() -> dict[str, str]:
    """Every file that this script keeps, as it should read."""
    verdicts = all_verdicts()
    blocks = {"counts": counts_table(verdicts)}
    if (ROOT / "results/mnist/paper/runs.csv").exists():
        blocks |= mnist_blocks(reporter("mnist").read(ROOT / "results/mnist/paper"))
    if (ROOT / "results/inception/small/runs.csv").exists():
        blocks |= inception_blocks(reporter("inception").read(ROOT / "results/inception/small"))
    blocks["mechanisms"] = mechanism_block(mechanism_answers())
    return {
        "results/REPORT.md": report_text(verdicts),
        "results/claims.json": json.dumps([as_json(v) for v in verdicts], indent=1) + "\n",
        "README.md": fill((ROOT / "README.md").read_text(), blocks),
    }


def mechanism_answers() -> dict[str, tuple[str, str, float]]:
    """Scale, answer and seconds of CPU of every experiment on Sections 1 to 3 that has evidence."""
    answers = {}
    for stem in QUESTIONS:
        scale = next((s for s in SCALES if (ROOT / "results" / stem / s).is_dir()), None)
        if scale is not None:
            report = reporter(stem)
            evidence = report.read(ROOT / "results" / stem / scale)
            answers[stem] = (scale, report.answer(evidence), evidence.provenance["cpu_s"])
    return answers


def all_verdicts() -> list[Verdict]:
    """A verdict on each claim from the largest scale that has evidence."""
    verdicts = []
    for claim in read_claims():
        folder = ROOT / "results" / claim["experiment"]
        scale = next((s for s in SCALES if (folder / s / "table.md").exists()), None)
        evidence = reporter(claim["experiment"]).read(folder / scale) if scale else None
        verdicts.append(judge(claim, evidence, scale or "paper"))
    return verdicts


if __name__ == "__main__":
    guard(main)
