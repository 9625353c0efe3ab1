"""Figures and table of an experiment from its runs, beside the runs.

    python -m scripts.render mnist [the overrides the runs had]

Nothing committed is touched: `make publish` alone writes evidence.
"""

from bnrepro.cli import arguments, guard
from bnrepro.config.identity import folder_name
from bnrepro.errors import UserError
from bnrepro.plots.render import render, reporter
from bnrepro.plots.tables import show
from bnrepro.run.arms import arms


def main() -> None:
    experiment, *overrides = arguments("an experiment, and the overrides its runs had")
    own = arms(experiment, [o for o in overrides if not o.startswith("variant=")])
    report = reporter(experiment)
    evidence = report.gather(own.folders, own.seeds)
    if not evidence.variants:
        folder = next(iter(own.folders.values())).parent
        raise UserError(f"{experiment}: no finished run under {folder} to show")
    shown = evidence.variants[0]
    suffix = folder_name(own.cfgs[shown], own.data.name).removeprefix(shown)
    for table in report.summary(evidence):
        show(table, f"{experiment}, scale {own.scale}, data {own.data.name}")
    for path in render(report, evidence, own.folders[shown].parent / f"figures{suffix}"):
        print(path)


if __name__ == "__main__":
    guard(main)
