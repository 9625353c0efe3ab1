"""The record of `make bench`: a figure of how cost grows, tables, and the README's sentences."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import unique
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import plain_numbers
from bnrepro.plots.panels import panels, ticks_at
from bnrepro.plots.style import ARMS, RC, Dash

Record = Mapping[str, Any]
LOOKS: Mapping[str, tuple[str, Dash]] = {  # mark and line of what is compared
    "here": ("o", "-"),
    "JAX": ("D", (0, (1, 1))),
    "products": ("x", (0, (4, 3))),
    "eager": ("s", "-."),
}
NAMES = {"eager": "plain PyTorch loop", "products": "dense matrix products alone"}
SEEDS = 5  # of the MNIST experiment, where its trainer is compared with others


def growth_figure(record: Record) -> Figure:
    """(a) the MNIST step by slots; (b) what BN adds; (c) Inception by width."""
    with plt.rc_context(RC):
        figure, (axes,) = panels(1, 3, (14, 4.6))
        slots_panel(axes[0], of(record, "slots"))
        bn_panel(axes[1], of(record, "bn"))
        inception_panel(axes[2], of(record, "inception"))
        figure.suptitle(f"Speed of training: {record['meta']['hardware']}")
    return figure


def of(record: Record, part: str, **values: Any) -> list[Row]:
    """The rows of a part that have these values."""
    rows = [row for row in record["rows"] if row["part"] == part]
    return [row for row in rows if all(row.get(key) == v for key, v in values.items())]


def slots_panel(axis: Axes, rows: Sequence[Row]) -> None:
    """µs a seed-step against the number of slots, each contestant of each arm."""
    contestants = [trainer for trainer in unique(rows, "trainer") if trainer in LOOKS]
    lines(axis, rows, contestants, "slots", "us")
    grow(axis, unique(rows, "slots"), "networks trained at once", "µs a step of one network")
    axis.set_title("(a) MNIST: the time of a step")


def lines(axis: Axes, rows: Sequence[Row], trainers: Iterable[str], x: str, y: str) -> None:
    """Column y against column x: a line in each arm's colour and each contestant's look."""
    for arm, trainer in itertools.product(unique(rows, "arm"), trainers):
        if chosen := [r for r in rows if (r["arm"], r["trainer"]) == (arm, trainer)]:
            values = [[r[column] for r in chosen] for column in (x, y)]
            (mark, dash), colour = LOOKS[trainer], ARMS[arm].colour
            name = f"{NAMES.get(trainer, trainer)}, {ARMS[arm].label}"
            axis.plot(*values, marker=mark, markersize=4, linestyle=dash, color=colour, label=name)


def bn_panel(axis: Axes, rows: Sequence[Row]) -> None:
    """How many times as long a step takes with BN, against width and against mini-batch."""
    lines = {"width of the layers (60 examples)": "width", "examples (width 100)": "batch"}
    looks = (("o", "#6a3d9a"), ("s", "#bf812d"))  # no arm's colours
    for (name, key), (mark, colour) in zip(lines.items(), looks, strict=True):
        other, fixed = ("batch", 60) if key == "width" else ("width", 100)
        chosen = sorted((r for r in rows if r[other] == fixed), key=lambda r: r[key])
        ratios = [r["with"] / r["without"] for r in chosen]
        axis.plot([r[key] for r in chosen], ratios, marker=mark, color=colour, label=name)
    both = unique(rows, "width") + unique(rows, "batch")
    grow(axis, sorted({*both} - {25, 50, 100, 200, 400}), "width, or examples of a mini-batch", "")
    axis.set_yscale("linear")
    axis.set_ylim(bottom=1)
    axis.set(ylabel="time with BN / without")
    axis.set_title("(b) MNIST: what BN adds to a step")


def inception_panel(axis: Axes, rows: Sequence[Row]) -> None:
    """Images a second against the network's width, here and as usually written."""
    lines(axis, rows, ("here", "eager"), "width", "images_s")
    grow(axis, unique(rows, "width"), "width (1: the paper's)", "images a second")
    if rows:
        plain_numbers(axis.yaxis)
    axis.set_title("(c) Inception in training")


def grow(axis: Axes, values: Sequence[float], what: str, measured: str) -> None:
    """Logarithmic axes with these ticks, where something was measured."""
    axis.set(xlabel=what, ylabel=measured)
    if values:
        axis.set_xscale("log")
        axis.set_yscale("log")
        ticks_at(axis.xaxis, values)
        axis.grid(True, which="both", alpha=0.25)
        axis.legend(fontsize=7)


def tables(record: Record) -> dict[str, Table]:
    """A table a part, by its title; parts that were not measured are left out."""
    titles = {
        "slots": "MNIST training step",
        "bn": "MNIST training step, 5 slots: µs a seed-step",
        "inception": "Inception training step: ms a step of 32",
        "processes": "Side by side: µs of the machine's time a step (MNIST: a seed-step), MB each",
        "readers": "JPEG files of 500×375, crops of 224",
    }
    return {title: table(rows) for part, title in titles.items() if (rows := of(record, part))}


def table(rows: Sequence[Row]) -> Table:
    """Every row with every column that one of them has: header first."""
    columns = [key for key in dict.fromkeys(k for row in rows for k in row) if key != "part"]
    return [columns, *([text(row.get(column)) for column in columns] for row in rows)]


def text(value: Any) -> str:
    """A cell's text; nothing measured: a dash."""
    if value is None:
        return "–"
    return f"{value:,.4g}" if isinstance(value, float) and value < 1e4 else f"{value}"


def sentences(folder: Path) -> str:
    """What the records say about speed, a line a machine: a block of the README."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return "\n".join(line for record in records if (line := sentence(record)))


def sentence(record: Record) -> str:
    """One machine's speed beside that of its peers."""
    facts = [mnist_fact(record), inception_fact(record), side_by_side_fact(record)]
    known = "; ".join(fact for fact in facts if fact)
    return f"- {record['meta']['hardware']}: {known}." if known else ""


def mnist_fact(record: Record) -> str:
    """How many times as fast the trainer of 4.1 is as its peers."""
    here = {"part": "slots", "trainer": "here", "slots": SEEDS}
    at_once = {"part": "processes", "processes": 2}
    eager, jax = ({"trainer": t, "slots": n} for t, n in (("eager", 1), ("JAX", SEEDS)))
    facts = [
        ("", ratios(record, here, eager), "a plain PyTorch loop"),
        ("", ratios(record, here, jax), "the same in JAX"),
        ("two arms at once, as in `make mnist`, ", ratios(record, at_once, jax), "one in JAX"),
    ]
    peers = [f"{what}{ratio} times as fast as {peer}" for what, ratio, peer in facts if ratio]
    return f"{SEEDS} MNIST networks train " + ", ".join(peers) if peers else ""


def ratios(record: Record, here: Row, peer: Row) -> str:
    """How many times as fast as a peer's the step of 4.1 is, without BN and with it."""
    arms = ("baseline", "bn")
    ours, theirs = (
        [row["us"] for arm in arms for row in of(record, **{"part": "slots", **each, "arm": arm})]
        for each in (here, peer)
    )
    if not len(ours) == len(theirs) == 2:
        return ""
    plain, bn = (their / our for our, their in zip(ours, theirs, strict=True))
    return f"{plain:.2g} (with BN {bn:.2g})"


def inception_fact(record: Record) -> str:
    """Images a second of BN-x5 at the scale's own width, beside the usual loop."""
    width = 1.0 if "cores" not in record["meta"]["hardware"] else 0.25
    here, eager = (
        of(record, "inception", arm="bn_x5", width=width, trainer=t) for t in ("here", "eager")
    )
    if not (here and eager):
        return ""
    ratio = here[0]["images_s"] / eager[0]["images_s"]
    return (
        f"BN-x5 at {width:g} of the width trains on {here[0]['images_s']:,} images a second, "
        f"{ratio:.1f} times as many as a plain loop, at {here[0]['share']:.0%} of the speed of "
        "a large matrix product"
    )


def side_by_side_fact(record: Record) -> str:
    """What two arms at once gain over one after the other."""
    gains = {}
    for arm in ("bn", "bn_x5"):
        one, two = (of(record, "processes", arm=arm, processes=n) for n in (1, 2))
        if one and two:
            gains[arm] = one[0]["us"] / two[0]["us"]
    if len(gains) < 2:
        return ""
    mnist, inception = (f"{gain:.1f}" for gain in gains.values())
    return f"two arms at once are done {mnist} (Inception: {inception}) times as soon as in turn"
