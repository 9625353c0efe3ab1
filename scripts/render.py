"""Figures and table of an experiment from its runs, beside the runs.

    python -m scripts.render mnist [the overrides the runs had]

With `variant=…` that arm is drawn beside the named arms that are finished at the same scale;
without it, all arms under the same overrides are. Nothing committed is touched: `make publish`
alone writes evidence.
"""

from pathlib import Path

from bnrepro.cli import arguments, guard
from bnrepro.errors import UserError
from bnrepro.experiment import find
from bnrepro.plots.render import render
from bnrepro.plots.tables import ROWS, show
from bnrepro.run.arms import Arms, compose_arms


def main() -> None:
    """Show the tables and write figures and table.md."""
    stem, *overrides = arguments("an experiment, and the overrides its runs had")
    experiment, arms = find(stem), compose_arms(stem, overrides)
    evidence = experiment.gather(arms.folders, arms.seeds)
    if not evidence.variants:
        raise UserError(f"{stem}: no finished run under {arms.parent} to show")
    lacking = [name for name in arms.asked if name not in evidence.variants]
    if lacking and any(text.startswith("variant=") for text in overrides):
        raise UserError(f"no finished run in {', '.join(str(arms.folders[n]) for n in lacking)}")
    title = f"{stem}, scale {arms.scale}, data {arms.data.name}"
    show(experiment.figures.tables(evidence)[0], title, ROWS)
    print(experiment.figures.answer(evidence))
    for path in render(experiment, evidence, figure_folder(arms)):
        print(path)


def figure_folder(arms: Arms) -> Path:
    """`figures`, with the hash that distinguishes these runs' folders from the named ones'."""
    first = arms.asked[0]
    suffix = arms.folders[first].name.removeprefix(arms.cfgs[first].variant)
    return arms.parent / f"figures{suffix}"


if __name__ == "__main__":
    guard(main)
