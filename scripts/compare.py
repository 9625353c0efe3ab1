"""Overlay the curves of any run folders in one figure, with a table of their differing settings.

    python -m scripts.compare results/runs/mnist/paper/bn results/runs/mnist/paper/bn-3fa2c1
    make compare RUNS="results/runs/mnist/paper/bn results/runs/mnist/paper/bn-3fa2c1"

A run folder holds `seed-<k>/` folders. The figure and table.md are written into `--to`.
"""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bnrepro.cli import Parser, guard
from bnrepro.config.identity import settings
from bnrepro.config.rules import twice
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.gather import gather_runs
from bnrepro.evidence.statistics import mean_text
from bnrepro.experiment import Table
from bnrepro.files import expand, write_atomically, writing
from bnrepro.plots.curves import mean_and_interval, thousands
from bnrepro.plots.style import RC, save
from bnrepro.plots.tables import markdown, show
from bnrepro.run.record import read_config, seed_folders


def main() -> None:
    """Draw the folders that the command line names."""
    parser = Parser(prog="python -m scripts.compare", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="run folders, each with seed-<k>/")
    parser.add_argument("--to", type=Path, default=Path("results/runs/compare"))
    options = parser.parse_args()
    paths, to = [expand(path) for path in options.folders], expand(options.to)
    if not paths:
        raise UserError('name run folders, as make compare RUNS="FOLDER FOLDER"')
    if (double := twice([path.resolve() for path in paths])) is not None:
        raise UserError(f"{double}: named twice")
    folders = labelled(paths)
    evidence = gather_runs(folders)
    if lacking := [folders[v] for v in folders if v not in evidence.variants]:
        arms = sorted(
            {path.parents[1] for each in lacking for path in each.glob("*/*/summary.json")}
        )
        hint = f"; name an arm's folder, such as {arms[0]}" if arms else ""
        raise UserError(f"no finished run in {', '.join(map(str, lacking))}{hint}")
    tables = [accuracy_table(evidence), settings_table(folders)]
    for table in tables:
        show(table, "comparison")
    write_atomically(to / "table.md", "\n".join(map(markdown, tables)))
    with writing(to):
        paths = save(accuracy_figure(evidence), to, "accuracy")
    for path in [*paths, to / "table.md"]:
        print(path)


def labelled(paths: list[Path]) -> dict[str, Path]:
    """Different folders by their names; by the ends of their paths where names repeat."""
    ends = (["/".join(p.resolve().parts[-length:]) for p in paths] for length in count(1))
    labels = next(labels for labels in ends if len(set(labels)) == len(paths))
    return dict(zip(labels, paths, strict=True))


def accuracy_figure(evidence: Evidence) -> Figure:
    """Test accuracy over steps: mean over seeds with interval, each seed faint."""
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(8, 4.8), layout="constrained")
        for variant in evidence.variants:
            mean_and_interval(axis, evidence, variant)
        axis.set(xlabel="training step", ylabel="test accuracy", title=evidence.data)
        axis.set_xlim(left=0)
        axis.xaxis.set_major_formatter(thousands())
        axis.legend(loc="lower right")
    return figure


def accuracy_table(evidence: Evidence) -> Table:
    """A row a folder: seeds, how they ended, last and best accuracy."""
    rows = [["runs", "seeds", "outcome", "last accuracy, %", "best, %"]]
    for variant in evidence.variants:
        runs = evidence.where("runs", variant=variant)
        outcomes = ", ".join(dict.fromkeys(run["outcome"] for run in runs))
        accuracies = ([run[f"{kind}_test_accuracy"] for run in runs] for kind in ("final", "best"))
        cells = [mean_text(values, 2, 100, limits=(0, 1)) for values in accuracies]
        rows.append([variant, ", ".join(str(run["seed"]) for run in runs), outcomes, *cells])
    return rows


def settings_table(folders: Mapping[str, Path]) -> Table:
    """The settings in which the folders' first runs differ."""
    configs = {label: first_settings(path) for label, path in folders.items()}
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    rows = [["setting", *folders]]
    for key in keys:
        values = [str(config.get(key, "–")) for config in configs.values()]
        if len(set(values)) > 1:
            rows.append([key, *values])
    return rows


def first_settings(folder: Path) -> dict[str, Any]:
    """The settings of a folder's first seed."""
    config = read_config(next(iter(seed_folders(folder).values())), experiment=str)
    return settings(config, config["experiment"])


if __name__ == "__main__":
    guard(main)
