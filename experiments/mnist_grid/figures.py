"""Heat maps of the grid: accuracy of every cell, and how long it sat on the initial plateau."""

from collections.abc import Mapping
from statistics import fmean

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped
from bnrepro.evidence.statistics import each_text, known
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.panels import panels
from bnrepro.plots.style import ARMS, on_data
from experiments.mnist_grid.gather import PLATEAU

Cell = tuple[float, float]  # learning rate and initial standard deviation


def winner(evidence: Evidence, variant: str) -> Row:
    """The setting chosen for an arm; older evidence lacks what its config says of the network."""
    (run,) = evidence.where("runs", variant=variant)
    paper = {"norm": "batch" if variant == "bn" else "none"}
    paper["init"] = "glorot" if variant == "baseline_tuned" else "normal"
    return paper | {key: value for key, value in run.items() if value is not None}


def name_of(evidence: Evidence, variant: str) -> str:
    """An arm by what is not searched: its normalisation, and its initial weights if given."""
    run = winner(evidence, variant)
    words = ("with BN" if run["norm"] == "batch" else "without BN") + ", Glorot" * is_glorot(run)
    return words if variant in ARMS else variant


def is_glorot(run: Row) -> bool:
    """Whether Glorot's formula gives the initial standard deviation."""
    return run["init"] == "glorot"


def by_cell(evidence: Evidence, variant: str, finals: bool = False) -> dict[Cell, list[Row]]:
    """An arm's rows of the short rounds, or of the finalists, by cell."""
    rows = evidence.where("cells", variant=variant)
    chosen = [row for row in rows if row["round"].startswith("finalist") == finals]
    return grouped(chosen, "lr", "init_std")


def score(rows: list[Row]) -> float:
    """Mean accuracy over seeds; one that diverged counts 0."""
    return fmean(row["accuracy"] for row in rows)


def heat_maps(evidence: Evidence) -> Figure:
    """Two rows of maps: validation accuracy at the round's end, and the plateau's length.

    The colours of accuracy span 90 to 98 %, where the arms differ; below that all is white.
    """
    count = len(evidence.variants)
    with plt.rc_context({"axes.grid": False, "font.size": 8}):
        figure, axes = panels(2, count, (5.2 * count, 7.4))
        for column, variant in enumerate(evidence.variants):
            accuracy_map(axes[0, column], evidence, variant)
            plateau_map(axes[1, column], evidence, variant)
        title = (
            "Mean over the tuning seeds at the end of the short runs; ★ the setting chosen "
            "among the finalists at full length"
        )
        figure.suptitle(on_data(title, evidence.data))
    return figure


def accuracy_map(axis: Axes, evidence: Evidence, variant: str) -> None:
    """Validation accuracy of every cell."""
    cells = by_cell(evidence, variant)
    values = {cell: score(rows) for cell, rows in cells.items()}
    texts = {cell: accuracy_text(rows) for cell, rows in cells.items()}
    heat_map(axis, evidence, variant, values, texts, (0.90, 0.98), "Greens")
    axis.set_title(f"{name_of(evidence, variant)}: validation accuracy, %")


def accuracy_text(rows: list[Row]) -> str:
    """A cell's mean accuracy, and how many of its seeds diverged."""
    lost = sum(row["diverged"] for row in rows)
    if lost == len(rows):
        return "diverged"
    return f"{100 * score(rows):.1f}" + (f"\n{lost} of {len(rows)} diverged" if lost else "")


def plateau_map(axis: Axes, evidence: Evidence, variant: str) -> None:
    """Steps that every cell sat on the initial plateau."""
    cells = by_cell(evidence, variant)
    rows = [row for each in cells.values() for row in each]
    first = min(known(row["left_plateau_at"] for row in rows), default=0)
    longest = max(row["steps"] for row in rows)
    values, texts = {}, {}
    for cell, each in cells.items():
        there = known(row["left_plateau_at"] for row in each)
        values[cell] = fmean(there) if len(there) == len(each) else longest
        sign = "≤ " if values[cell] == first else ""
        texts[cell] = f"{sign}{values[cell]:,.0f}" if len(there) == len(each) else f"> {longest:,}"
    heat_map(axis, evidence, variant, values, texts, (0, longest), "Oranges")
    axis.set_title(f"{name_of(evidence, variant)}: steps until accuracy passes {PLATEAU:.0%}")


def heat_map(
    axis: Axes,
    evidence: Evidence,
    variant: str,
    values: Mapping[Cell, float],
    texts: Mapping[Cell, str],
    limits: tuple[float, float],
    colours: str,
) -> None:
    """Rates × standard deviations, every cell with its text; ★ the one that was chosen."""
    rates, stds = (sorted({cell[i] for cell in values}) for i in (0, 1))
    grid = np.array([[values.get((lr, std), np.nan) for lr in rates] for std in stds])
    axis.imshow(grid, origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    run = winner(evidence, variant)
    for (lr, std), text in texts.items():
        chosen = lr == run["lr"] and run.get("init_std", std) == std
        dark = values[lr, std] > limits[0] + 0.6 * (limits[1] - limits[0])
        axis.annotate(
            text + (" ★" if chosen else ""),
            (rates.index(lr), stds.index(std)),
            color="white" if dark else "black",
            ha="center",
            va="center",
            weight="bold" if chosen else "normal",
        )
    axis.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axis.set_yticks(range(len(stds)), [std_text(run, std) for std in stds])
    axis.set(xlabel="learning rate", ylabel="initial standard deviation")


def std_text(run: Row, std: float) -> str:
    """An initial standard deviation in words."""
    return "Glorot" if is_glorot(run) else f"{std:g}"


FIGURES = {"heat-maps": heat_maps}


def tables(evidence: Evidence) -> list[Table]:
    """The finalists."""
    return [finalist_rows(evidence)]


def finalist_rows(evidence: Evidence) -> Table:
    """The finalists at full length, best first in each arm, with every seed's accuracy."""
    accuracy = on_data("last validation accuracy by seed", evidence.data)
    table = [["arm", "learning rate", "initial std", accuracy, "mean"]]
    for variant in evidence.variants:
        name, run = name_of(evidence, variant), winner(evidence, variant)
        cells = by_cell(evidence, variant, finals=True)
        for (lr, std), rows in sorted(cells.items(), key=lambda cell: -score(cell[1])):
            each = each_text((None if r["diverged"] else r["accuracy"] for r in rows), 4)
            table.append([name, f"{lr:g}", std_text(run, std), each, f"{score(rows):.4f}"])
    return table


def answer(evidence: Evidence) -> str:
    """The setting that was chosen for each arm."""
    parts = []
    for variant in evidence.variants:
        run = winner(evidence, variant)
        std = "Glorot" if is_glorot(run) else f"std {run['init_std']:g}"
        parts.append(f"{name_of(evidence, variant)}: rate {run['lr']:g}, {std}")
    return f"Chosen on held-out images: {'; '.join(parts)}."
