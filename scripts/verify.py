"""Does this machine reproduce the committed values?

    make verify EXPERIMENT=mnist [SCALE=paper ARGS="seeds=2"]

Compares this machine's runs with the published ones, seed by seed. Floating point differs between
processors and threads, so curves part after some hundred steps while accuracies stay close: a
seed's last accuracy must lie within TOLERANCE of the committed one.
"""

import sys

from bnrepro.app import guard
from bnrepro.config import ROOT, compose, variants
from bnrepro.data import open_images
from bnrepro.errors import UserError
from bnrepro.identity import group_folder
from bnrepro.report import reporter
from bnrepro.validation import seed_list
from scripts.render import show

TOLERANCE = 0.005  # of accuracy, about five standard deviations between seeds


def main() -> None:
    experiment, *overrides = (a for a in sys.argv[1:] if not a.startswith("variant="))
    cfgs = {v: compose(experiment, [*overrides, f"variant={v}"]) for v in variants(experiment)}
    first = next(iter(cfgs.values()))
    report, data = reporter(experiment), open_images(first.data)
    committed = report.read(ROOT / "results" / experiment / first.scale)
    if not hasattr(committed, "runs"):
        raise UserError(
            f"{experiment}: verify compares experiments with one record a run, and this one is a "
            f"sweep: compare its table.md with results/{experiment}/{first.scale}/table.md"
        )
    folders = {v: group_folder(cfg, data.name) for v, cfg in cfgs.items()}
    here = report.gather(folders, seed_list(first.seeds))
    rows = [["run", "committed", "here", "difference", "reproduced"]]
    for run in here.runs:
        theirs = committed.run(run["variant"], run["seed"])["final_test_accuracy"]
        gap = run["final_test_accuracy"] - theirs
        verdict = "yes" if abs(gap) <= TOLERANCE else "NO"
        values = (f"{theirs:.4f}", f"{run['final_test_accuracy']:.4f}", f"{gap:+.4f}", verdict)
        rows.append([f"{run['variant']} seed {run['seed']}", *values])
    show(rows, f"{experiment}, scale {first.scale}: last test accuracy")
    failed = sum(row[-1] == "NO" for row in rows)
    if failed or len(rows) == 1:
        raise UserError(f"{failed} of {len(rows) - 1} runs differ by more than {TOLERANCE}")


if __name__ == "__main__":
    guard(main)
