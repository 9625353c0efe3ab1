"""Figures and table of an experiment from its runs, beside the runs.

    python -m scripts.render mnist [the overrides the runs had]

Nothing committed is touched: `make publish` alone writes evidence.
"""

import sys

from rich.console import Console
from rich.table import Table as RichTable

from bnrepro.app import guard
from bnrepro.config import compose, variants
from bnrepro.data import open_images
from bnrepro.errors import UserError
from bnrepro.identity import folder_name, group_folder
from bnrepro.report import render, reporter
from bnrepro.report.markdown import Table
from bnrepro.validation import seed_list, validate


def main() -> None:
    experiment, *overrides = sys.argv[1:]
    shared = [o for o in overrides if not o.startswith("variant=")]
    cfgs = {v: compose(experiment, [*shared, f"variant={v}"]) for v in variants(experiment)}
    for cfg in cfgs.values():
        validate(cfg)
    first = next(iter(cfgs.values()))
    data = open_images(first.data)
    folders = {v: group_folder(cfg, data.name) for v, cfg in cfgs.items()}
    report = reporter(experiment)
    evidence = report.gather(folders, seed_list(first.seeds))
    if not evidence.variants:
        raise UserError(f"{experiment}: no finished run under {first.results} to show")
    shown = evidence.variants[0]
    suffix = folder_name(cfgs[shown], data.name).removeprefix(shown)
    for table in report.summary(evidence):
        show(table, f"{experiment}, scale {first.scale}, data {data.name}")
    for path in render(report, evidence, folders[shown].parent / f"figures{suffix}"):
        print(path)


def show(rows: Table, title: str) -> None:
    header, *body = rows
    table = RichTable(title=title)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in body:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table)


if __name__ == "__main__":
    guard(main)
