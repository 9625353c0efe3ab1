"""Maps of the grid: accuracy of every cell, and how long it sat on the initial plateau."""

import math
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
Place = tuple[float, str]  # learning rate and line of a map: a standard deviation, or Glorot's
GLOROT = "Glorot"


def winner(evidence: Evidence, variant: str) -> Row:
    """The setting chosen for an arm."""
    (run,) = evidence.where("runs", variant=variant)
    return run


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
    """Validation accuracy of every learning rate and initial standard deviation, without and with
    BN (★ the setting that was chosen), and how long the network without BN stays on the plateau at
    the start of training: long where rate and standard deviation are small."""
    maps = grouped_arms(evidence)
    with plt.rc_context({"axes.grid": False, "font.size": 8}):
        figure, (axes,) = panels(1, len(maps) + 1, (4.3 * (len(maps) + 1), 4.2))
        for axis, arms in zip(axes, maps, strict=False):
            accuracy_map(axis, evidence, arms)
        plateau_map(axes[-1], evidence, maps)
        title = (
            "Mean over the tuning seeds at the end of the short runs; ★ the setting chosen "
            "among the finalists at full length"
        )
        figure.suptitle(on_data(title, evidence.data))
    return figure


def grouped_arms(evidence: Evidence) -> list[list[str]]:
    """The arms of each map: one whose weights are Glorot's is a line of the map of its kind."""
    maps: dict[str, list[str]] = {}
    glorot = [v for v in evidence.variants if is_glorot(winner(evidence, v))]
    for variant in (*(v for v in evidence.variants if v not in glorot), *glorot):
        norm = winner(evidence, variant)["norm"]
        joins = variant in glorot and norm in maps
        maps.setdefault(norm if joins or norm not in maps else variant, []).append(variant)
    return list(maps.values())


def accuracy_map(axis: Axes, evidence: Evidence, arms: list[str]) -> None:
    """Validation accuracy of every cell; the colours span 90 to 98 %, where the arms differ."""
    values, texts = {}, {}
    for variant in arms:
        for cell, rows in lines_of(evidence, variant).items():
            values[cell], texts[cell] = score(rows), accuracy_text(rows)
    heat_map(axis, evidence, arms, values, texts, (0.90, 0.98), "Greens")
    axis.set_title(f"{name_of(evidence, arms[0])}: validation accuracy, %")


def lines_of(evidence: Evidence, variant: str) -> dict[Place, list[Row]]:
    """The rows of an arm's short rounds by rate and line of the map."""
    run = winner(evidence, variant)
    cells = by_cell(evidence, variant)
    return {(rate, std_text(run, std)): rows for (rate, std), rows in cells.items()}


def accuracy_text(rows: list[Row]) -> str:
    """A cell's mean accuracy, and how many of its seeds diverged."""
    lost = sum(row["diverged"] for row in rows)
    if lost == len(rows):
        return "diverged"
    return f"{100 * score(rows):.1f}" + (f"\n{lost} of {len(rows)} diverged" if lost else "")


def plateau_map(axis: Axes, evidence: Evidence, maps: list[list[str]]) -> None:
    """Steps that every cell of the first map sat on the plateau; the other arms' in words."""
    rows = [row for arm in maps[0] for each in by_cell(evidence, arm).values() for row in each]
    first = min(known(row["left_plateau_at"] for row in evidence.cells), default=0)
    longest = max(row["steps"] for row in rows)
    values, texts = {}, {}
    for arm in maps[0]:
        for cell, each in lines_of(evidence, arm).items():
            values[cell], texts[cell] = plateau(each, first, longest)
    heat_map(axis, evidence, maps[0], values, texts, (0, longest), "Oranges")
    axis.set_title(f"{name_of(evidence, maps[0][0])}: steps until accuracy passes {PLATEAU:.0%}")
    others = [plateau_words(evidence, arm, first) for arms in maps[1:] for arm in arms]
    axis.set_xlabel("\n".join(["learning rate", *others]))


def plateau(rows: list[Row], first: float, longest: int) -> tuple[float, str]:
    """A cell's mean number of steps on the plateau, and its text."""
    there = known(row["left_plateau_at"] for row in rows)
    if len(there) < len(rows):
        return longest, f"> {longest:,}"
    value = fmean(there)
    return value, f"{'≤ ' * (value == first)}{value:,.0f}"


def plateau_words(evidence: Evidence, variant: str, first: float) -> str:
    """In how many cells of an arm every seed leaves the plateau by its first evaluation."""
    cells = by_cell(evidence, variant).values()
    at_once = sum(all(row["left_plateau_at"] == first for row in rows) for rows in cells)
    return f"({name_of(evidence, variant)}: ≤ {first:,} in {at_once} of {len(cells)} cells)"


def heat_map(
    axis: Axes,
    evidence: Evidence,
    arms: list[str],
    values: Mapping[Place, float],
    texts: Mapping[Place, str],
    limits: tuple[float, float],
    colours: str,
) -> None:
    """Rates × initial standard deviations, every cell with its text; ★ what was chosen."""
    rates = sorted({rate for rate, _ in values})
    every = {std for _, std in values}
    stds = sorted(every, key=lambda std: math.inf if std == GLOROT else float(std))
    grid = np.array([[values.get((rate, std), np.nan) for rate in rates] for std in stds])
    axis.imshow(grid, origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    chosen = [chosen_place(evidence, arm) for arm in arms]
    for (rate, std), text in texts.items():
        star = (rate, std) in chosen
        dark = values[rate, std] > limits[0] + 0.6 * (limits[1] - limits[0])
        axis.annotate(
            text + (" ★" if star else ""),
            (rates.index(rate), stds.index(std)),
            color="white" if dark else "black",
            ha="center",
            va="center",
            weight="bold" if star else "normal",
        )
    axis.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axis.set_yticks(range(len(stds)), stds)
    axis.set(xlabel="learning rate", ylabel="initial standard deviation")


def chosen_place(evidence: Evidence, variant: str) -> Place:
    """Rate and line of the setting that was chosen for an arm."""
    run = winner(evidence, variant)
    known_std = run.get("init_std") or next(iter(by_cell(evidence, variant)))[1]
    return run["lr"], std_text(run, known_std)


def std_text(run: Row, std: float) -> str:
    """An initial standard deviation in words."""
    return GLOROT if is_glorot(run) else f"{std:g}"


FIGURES = {"heat-maps": heat_maps}


def tables(evidence: Evidence) -> list[Table]:
    """The finalists at full length, best first in each arm, with every seed's accuracy."""
    accuracy = on_data("last validation accuracy by seed", evidence.data)
    table = [["arm", "learning rate", "initial std", accuracy, "mean"]]
    for variant in evidence.variants:
        name, run = name_of(evidence, variant), winner(evidence, variant)
        cells = by_cell(evidence, variant, finals=True)
        for (lr, std), rows in sorted(cells.items(), key=lambda cell: -score(cell[1])):
            each = each_text((None if r["diverged"] else r["accuracy"] for r in rows), 4)
            table.append([name, f"{lr:g}", std_text(run, std), each, f"{score(rows):.4f}"])
    return [table]


def answer(evidence: Evidence) -> str:
    """The setting that was chosen for each arm."""
    parts = []
    for variant in evidence.variants:
        run = winner(evidence, variant)
        std = "Glorot" if is_glorot(run) else f"std {run['init_std']:g}"
        parts.append(f"{name_of(evidence, variant)}: rate {run['lr']:g}, {std}")
    return f"Chosen on held-out images: {'; '.join(parts)}."
