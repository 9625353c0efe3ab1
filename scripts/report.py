"""results/REPORT.md, results/claims.json and the README's numbers, from the committed evidence.

python -m scripts.report
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

from bnrepro.cli import guard
from bnrepro.config import ROOT
from bnrepro.config.claims import read_claims
from bnrepro.evidence.verdicts import Verdict, judge
from bnrepro.plots.claims import as_json, counts_table, report_text
from bnrepro.plots.render import reporter
from bnrepro.run.record import write_atomically
from scripts.readme import (
    QUESTIONS,
    fill,
    inception_blocks,
    mechanism_block,
    mnist_blocks,
    search_blocks,
)

SCALES = ("paper", "gpu", "small")  # the most telling evidence first
BLOCKS = (  # whose numbers stand in the README outside its tables of all experiments
    ("mnist", "paper", mnist_blocks),
    ("inception", "small", inception_blocks),
    ("inception_grid", "small", search_blocks),
)


def main() -> None:
    for path, text in documents().items():
        write_atomically(ROOT / path, text)
        print(path)


def documents() -> dict[str, str]:
    """Every file that this script keeps, as it should read."""
    verdicts = [verdict_on(claim) for claim in read_claims()]
    blocks = {"counts": counts_table(verdicts), "mechanisms": mechanism_block(mechanism_answers())}
    for experiment, scale, write in BLOCKS:
        if scale in published(experiment):
            blocks |= write(read(experiment, scale))
    return {
        "results/REPORT.md": report_text(verdicts),
        "results/claims.json": json.dumps([as_json(v) for v in verdicts], indent=1) + "\n",
        "README.md": fill((ROOT / "README.md").read_text(), blocks),
    }


def published(experiment: str) -> list[str]:
    """The scales with committed evidence, the most telling first."""
    folder = ROOT / "results" / experiment
    return [scale for scale in SCALES if (folder / scale / "table.md").exists()]


@functools.cache
def read(experiment: str, scale: str) -> Any:
    return reporter(experiment).read(ROOT / "results" / experiment / scale)


def mechanism_answers() -> dict[str, tuple[str, str, float]]:
    """Scale, answer and seconds of CPU of every experiment on Sections 1 to 3 that has evidence."""
    answers = {}
    for stem in QUESTIONS:
        for scale in published(stem)[:1]:
            evidence = read(stem, scale)
            answer = reporter(stem).answer(evidence)
            answers[stem] = (scale, answer, evidence.provenance["cpu_s"])
    return answers


def verdict_on(claim: Mapping[str, Any]) -> Verdict:
    """The verdict from the largest scale that has evidence."""
    for scale in published(claim["experiment"]):
        return judge(claim, read(claim["experiment"], scale), scale)
    return judge(claim, None, "paper")


if __name__ == "__main__":
    guard(main)
