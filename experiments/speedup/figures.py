"""The map of Section 4.2: S over rates and regimes, what trains, and the split of the speed-up."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Above, mean_text, power_text, t_interval, upper_median
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.panels import legend_in, panels, ticks_at
from bnrepro.plots.style import arm
from experiments.speedup.metrics import (
    best_plain,
    budgets,
    ended,
    log_speedup,
    places,
    plain_cells,
    trains,
)

COLOURS = ("#6a3d9a", "#b79ad6", "#8a8a8a", "#bf812d", "#111111")  # of regimes, no arm's
LOST = 20  # times: above it are plain networks that did not train, a row a regime
PAPER = 14  # times fewer steps, Figure 3


def opponents(evidence: Evidence) -> dict[str, str]:
    """Each regime with plain cells, and the regime whose cells with BN they are compared with."""
    result = {}
    for regime in unique(evidence.cells, "regime"):
        if ended(evidence, regime, "plain"):
            replicas = ended(evidence, regime, "plain")[0]["replicas"]
            rows = evidence.where("cells", arm="bn", replicas=replicas)
            result[regime] = regime if ended(evidence, regime, "bn") else rows[0]["regime"]
    return result


def map_figure(evidence: Evidence) -> Figure:
    """How many times fewer steps BN at its best rate needs to the accuracy at which the plain
    network ends, by the plain network's rate. With one replica and He's initial weights most points
    lie between 2 and 6, with Caffe's or with more replicas more lie higher. Every point lies above
    1: BN reaches the accuracy of every plain network. In the first regime BN's largest budget is
    all of the plain network's steps, in the others half of them, where no point could lie below 2.
    """
    figure, ((axis,),) = panels(1, 1, (9, 5.2))
    shown = [r for r in opponents(evidence) if ended(evidence, r, "bn")]
    for i, (regime, colour) in enumerate(zip(shown, COLOURS, strict=False)):
        _map_line(axis, evidence, regime, colour, LOST * 1.08**i)
    axis.axhline(PAPER, color="black", linewidth=0.8, linestyle=(0, (2, 3)))
    axis.annotate("the paper's 14", (0.995, PAPER), xycoords=("axes fraction", "data"),
                  ha="right", va="bottom", fontsize=8)  # fmt: skip
    axis.axhline(1, color="#444444", linewidth=0.9)
    axis.set(xscale="log", yscale="log", xlabel="learning rate of the plain network",
             ylabel="times fewer steps with BN at its best rate")  # fmt: skip
    axis.xaxis.minorticks_off()
    ticks_at(axis.yaxis, [1, 2, 4, 8, 16])
    axis.set_ylim(bottom=0.6)
    legend_in(axis, fontsize=9, loc="lower left", ncols=3)
    title = "Times fewer steps with BN, by the plain network's rate, start and replicas\n(points: "
    title += "seeds; ▲: at least; ×: the plain network did not train; lines: medians, where known)"
    axis.set_title(title, fontsize=11)
    return figure


def _map_line(axis: Axes, evidence: Evidence, regime: str, colour: str, lost: float) -> None:
    """Every seed, at the height `lost` where it did not train, and the medians of all."""
    style: dict[str, Any] = {"color": colour, "ms": 4, "alpha": 0.6}
    medians: list[tuple[float, float]] = []
    for place in places(evidence, regime, "plain"):
        cells = plain_cells(evidence, regime, place)
        values = [log_of_map(evidence, cell, regime) for cell in cells]
        for x, value in ((cell["rate"], v) for cell, v in zip(cells, values, strict=True)):
            if value is None:
                axis.plot(x, lost, "x", **style)
            elif value > -math.inf:
                axis.plot(x, math.exp(value), "^" if isinstance(value, Above) else "o", **style)
        middle = upper_median([None if isinstance(v, Above) else v for v in values])
        medians.append((cells[0]["rate"], math.exp(middle) if math.isfinite(middle) else math.nan))
    axis.plot(*zip(*medians, strict=True), "-", color=colour, marker="_", ms=9, label=regime)


def log_of_map(evidence: Evidence, cell: Row, regime: str) -> float | None:
    """ln S of a plain cell; −∞ where BN is never as accurate, None where it did not train."""
    if cell["outcome"] != "trained":
        return None
    value = log_speedup(evidence, cell, regime)
    return -math.inf if value is None else value


def rates_figure(evidence: Evidence) -> Figure:
    """Test accuracy at the end by learning rate: with BN the networks do best at higher rates, and
    with 4 or 16 replicas, whose gradients are old, they end higher after half the steps."""
    regimes = [r for r, other in opponents(evidence).items() if r == other and _is_he(evidence, r)]
    figure, (axes,) = panels(1, len(regimes), (4.3 * len(regimes), 4), sharey=True)
    for axis, regime in zip(axes, regimes, strict=True):
        for name, key in (("baseline", "plain"), ("bn", "bn")):
            _rate_line(axis, evidence, regime, key, name)
        axis.set(xscale="log", xlabel="learning rate", title=regime, ylim=(0, 100))
    axes[0].set_ylabel("last test accuracy, %; diverged: 0")
    axes[-1].legend(loc="upper right", fontsize=9)
    figure.suptitle("Last accuracy by learning rate; points are seeds, lines their means")
    return figure


def _is_he(evidence: Evidence, regime: str) -> bool:
    return ended(evidence, regime, "plain")[0]["init"] == "he"


def _rate_line(axis: Axes, evidence: Evidence, regime: str, key: str, name: str) -> None:
    look, steps = arm(name), budgets(evidence, regime, key)
    (total,) = budgets(evidence, regime, "plain")
    budget = max(b for b in steps if key == "plain" or b <= total / 2)
    points: list[tuple[float, float]] = []
    faint: dict[str, Any] = {"color": look.colour, "ms": 3, "alpha": 0.6}
    for place in places(evidence, regime, key):
        rows = ended(evidence, regime, key, place=place, budget=budget)
        values = [100 * (row["accuracy"] or 0.0) for row in rows]
        axis.plot([rows[0]["rate"]] * len(values), values, "o", clip_on=False, **faint)
        points.append((rows[0]["rate"], sum(values) / len(values)))
    axis.plot(*zip(*points, strict=True), label=f"{look.label}, {budget:,} steps", **look.line)


FIGURES = {"rates": rates_figure, "map": map_figure}


def tables(evidence: Evidence) -> list[Table]:
    """A row a regime, and a row a plain cell."""
    return [regime_table(evidence), cell_table(evidence)]


def regime_table(evidence: Evidence) -> list[list[str]]:
    """The highest rates at which every seed trains, and the best accuracies with S."""
    header = ["regime", "highest rate that trains, plain", "with BN", "best plain accuracy, %",
              "steps", "S, BN at its best rate"]  # fmt: skip
    rows = [header]
    for regime, other in opponents(evidence).items():
        cells, total = best_plain(evidence, regime), budgets(evidence, regime, "plain")[0]
        accuracy = mean_text([c["accuracy"] or 0.0 for c in cells], 1, 100, limits=(0, 1))
        tops = [highest(evidence, regime, "plain"), highest(evidence, other, "bn")]
        rows.append([regime, *tops, accuracy, f"{total:,}", speed_text(evidence, cells, other)])
    return rows


def highest(evidence: Evidence, regime: str, arm_key: str) -> str:
    """The highest rate at which every seed trains; a bound where it is the highest tried."""
    tried = places(evidence, regime, arm_key)
    kept = [k for k in tried if trains(evidence, regime, arm_key, k)]
    if not kept:
        return "none"
    rate = ended(evidence, regime, arm_key, place=kept[-1])[0]["rate"]
    return f"{'≥ ' * (kept[-1] == tried[-1])}{rate:g}"


def speed_text(evidence: Evidence, cells: Sequence[dict], other: str) -> str:
    """S of every seed that trained, with its bound."""
    texts = []
    for cell in cells:
        speed = power_text(log_speedup(evidence, cell, other), lost="BN never as accurate")
        texts.append(speed if cell["outcome"] == "trained" else cell["outcome"])
    return ", ".join(texts)


def cell_table(evidence: Evidence) -> list[list[str]]:
    """Every plain cell: its accuracy by seed, and S."""
    rows = [["regime: rate", "last accuracy by seed, %", "S by seed, BN at its best rate"]]
    for regime, other in opponents(evidence).items():
        for place in places(evidence, regime, "plain"):
            cells = plain_cells(evidence, regime, place)
            each = [f"{100 * c['accuracy']:.1f}" if c["accuracy"] else c["outcome"] for c in cells]
            speed = speed_text(evidence, cells, other)
            rows.append([f"{regime}: {cells[0]['rate']:g}", ", ".join(each), speed])
    return rows


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = []
    for regime, other in opponents(evidence).items():
        if regime == other and _is_he(evidence, regime):
            cells, lowest = best_plain(evidence, regime), places(evidence, regime, "plain")[0]
            accuracy = t_interval([100 * (c["accuracy"] or 0.0) for c in cells]).mean
            edge = " at the lowest rate tried" * (cells[0]["place"] == lowest)
            speed = speed_text(evidence, cells, other)
            parts.append(f"{regime}: {speed} (accuracy without BN {accuracy:.0f} %{edge})")
    return (
        f"Times fewer steps with BN, both arms at the best of the rates tried, by seed "
        f"({len(all_seeds(evidence))} seeds): {'; '.join(parts)}."
    )
