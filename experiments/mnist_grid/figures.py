"""Heat maps of the grid: accuracy of every cell, and how long it sat on the initial plateau."""

from collections import defaultdict
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.style import RC, arm, on_data
from experiments.mnist_grid.gather import PLATEAU

TITLES = {"baseline_tuned": "without BN, Glorot", "bn": "with BN", "baseline": "without BN"}


def tables(evidence: Evidence) -> list[Table]:
    """The finalists."""
    return [finalist_rows(evidence)]


def answer(evidence: Evidence) -> str:
    """The setting that was chosen for each arm."""
    parts = [f"{_title(run['variant'])}: {_setting(run)}" for run in evidence.runs]
    return f"Chosen on held-out images: {'; '.join(parts)}."


def _setting(run: Row) -> str:
    std = f"std {run['init_std']:g}" if run.get("init_std") else "Glorot"
    return f"rate {run['lr']:g}, {std}"


def finalist_rows(evidence: Evidence) -> list[list[str]]:
    """The finalists at full length, best first in each arm, with every seed's accuracy."""
    accuracy = on_data("last validation accuracy by seed", evidence.data)
    rows = [["arm", "learning rate", "initial std", accuracy, "mean"]]
    for variant in evidence.variants:
        cells = _by_cell(evidence, variant, finals=True)
        for (lr, std), found in sorted(cells.items(), key=lambda c: -_mean(c[1], "accuracy")):
            scale = "Glorot" if variant == "baseline_tuned" else f"{std:g}"
            each = ", ".join(f"{row['accuracy']:.4f}" for row in found)
            rows.append(
                [_title(variant), f"{lr:g}", scale, each, f"{_mean(found, 'accuracy'):.4f}"]
            )
    return rows


def heat_maps(evidence: Evidence) -> Figure:
    """Two rows of maps: validation accuracy at the round's end, and the plateau's length.

    The colours of accuracy span 90 to 98 %, where the arms differ; below that all is white.
    """
    with plt.rc_context(RC | {"axes.grid": False, "font.size": 8}):
        count = len(evidence.variants)
        figure, axes = plt.subplots(
            2, count, figsize=(5.2 * count, 7.4), squeeze=False, layout="constrained"
        )
        for column, variant in enumerate(evidence.variants):
            _accuracy_map(axes[0, column], evidence, variant)
            _plateau_map(axes[1, column], evidence, variant)
        title = (
            "Mean over the tuning seeds at the end of the short runs; ★ the setting chosen "
            "among the finalists at full length"
        )
        figure.suptitle(on_data(title, evidence.data))
    return figure


def _accuracy_map(axis: Axes, evidence: Evidence, variant: str) -> None:
    cells = _by_cell(evidence, variant)
    values = {cell: _mean(rows, "accuracy") for cell, rows in cells.items()}
    texts = {cell: f"{100 * v:.1f}" if v else "diverged" for cell, v in values.items()}
    _map(axis, evidence, variant, values, texts, (0.90, 0.98), "Greens")
    axis.set_title(f"{_title(variant)}: validation accuracy, %")


def _plateau_map(axis: Axes, evidence: Evidence, variant: str) -> None:
    cells = _by_cell(evidence, variant)
    first = min(r["left_plateau_at"] or np.inf for rows in cells.values() for r in rows)
    longest = max(row["steps"] for rows in cells.values() for row in rows)
    values, texts = {}, {}
    for cell, rows in cells.items():
        known = [r["left_plateau_at"] for r in rows if r["left_plateau_at"] is not None]
        values[cell] = sum(known) / len(known) if len(known) == len(rows) else longest
        sign = "≤ " if values[cell] == first else ""
        texts[cell] = f"{sign}{values[cell]:,.0f}" if len(known) == len(rows) else f"> {longest:,}"
    _map(axis, evidence, variant, values, texts, (0, longest), "Oranges")
    axis.set_title(f"{_title(variant)}: steps until accuracy passes {PLATEAU:.0%}")


def _map(
    axis: Axes,
    evidence: Evidence,
    variant: str,
    values: dict[tuple[float, float], float],
    texts: dict[tuple[float, float], str],
    limits: tuple[float, float],
    colours: str,
) -> None:
    rates, stds = sorted({c[0] for c in values}), sorted({c[1] for c in values})
    grid = np.array([[values.get((lr, std), np.nan) for lr in rates] for std in stds])
    axis.imshow(grid, origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    (winner,) = evidence.where("runs", variant=variant)
    for (lr, std), text in texts.items():
        chosen = lr == winner["lr"] and winner.get("init_std") in (None, std)
        dark = values[lr, std] > limits[0] + 0.6 * (limits[1] - limits[0])
        place = (rates.index(lr), stds.index(std))
        label, colour = text + (" ★" if chosen else ""), "white" if dark else "black"
        weight = "bold" if chosen else "normal"
        axis.annotate(label, place, color=colour, ha="center", va="center", weight=weight)
    axis.set_xticks(range(len(rates)), [f"{r:g}" for r in rates])
    single = variant == "baseline_tuned"
    axis.set_yticks(range(len(stds)), ["Glorot"] if single else [f"{s:g}" for s in stds])
    axis.set_xlabel("learning rate")
    axis.set_ylabel("initial standard deviation")


def _by_cell(
    evidence: Evidence, variant: str, finals: bool = False
) -> dict[tuple[float, float], list[dict[str, Any]]]:
    cells: dict[tuple[float, float], list[dict[str, Any]]] = defaultdict(list)
    for row in evidence.cells:
        if row["variant"] == variant and row["round"].startswith("finalist") == finals:
            cells[row["lr"], row["init_std"]].append(row)
    return dict(cells)


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return sum(row[key] for row in rows) / len(rows)


def _title(variant: str) -> str:
    return TITLES.get(variant, arm(variant).label)


FIGURES = {"heat-maps": heat_maps}
