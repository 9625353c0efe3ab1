"""The runs of a folder as a table in the terminal, with a line of accuracy for each arm."""

import itertools
import math
import time
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bnrepro.dashboard.data import Runs
from bnrepro.dashboard.records import FollowedRecord

EVERY = 1.0  # seconds between two looks
WIDTH = 24  # characters of a sparkline, where there is room
BARS = "▁▂▃▄▅▆▇█"
ACCURACIES = ("test_accuracy", "accuracy")
COLUMNS = ("run", "seeds", "status", "done", "left", "accuracy")


def watch(runs: Runs, console: Console, everything: bool) -> None:
    """Show the table until Ctrl-C; once where there is no terminal."""
    runs.read()
    width = max(8, min(WIDTH, console.width - 72))
    if not console.is_terminal:
        console.print(table(runs.records.values(), everything, width))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(table(runs.records.values(), everything, width), refresh=True)
            time.sleep(EVERY)
            runs.read()


def table(records: Iterable[FollowedRecord], everything: bool = False, width: int = WIDTH) -> Table:
    """A line for each arm that runs or did not end well; with `everything` for each arm."""
    arms: dict[str, list[FollowedRecord]] = {}
    for record in records:
        arms.setdefault(name_of(record), []).append(record)
    shown = {n: rs for n, rs in arms.items() if everything or any(r.status() != "ok" for r in rs)}
    left_out = len(arms) - len(shown)
    caption = f"{left_out} finished arms are left out; --all shows them" if left_out else None
    result = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption if arms else "no runs yet"
    )
    for column in COLUMNS:
        result.add_column(column, overflow="fold", no_wrap=column in ("left", "accuracy"))
    result.add_column("so far", no_wrap=True)
    for name, each in sorted(shown.items(), key=lambda item: -max(r.updated for r in item[1])):
        line = [name, *cells(each), sparkline(mean_accuracy(each), width)]
        result.add_row(*(Text(cell) for cell in line))
    return result


def name_of(record: FollowedRecord) -> str:
    """Experiment, scale, arm, and of a search round and value."""
    inner = [f"{v:g}" if isinstance(v, float) else str(v) for k, v in record.key.items()
             if k != "seed"]  # fmt: skip
    return "/".join([record.experiment, record.scale, record.arm, *inner])


def cells(records: Sequence[FollowedRecord]) -> list[str]:
    """What the table says of an arm's runs."""
    lines = [record.describe() for record in records]
    seeds = ",".join(str(line["seed"]) for line in lines if "seed" in line)
    notes = dict.fromkeys(line["note"] for line in lines if line["note"])
    done = sum(line["done"] for line in lines) / len(lines)
    total = records[0].total
    lefts = [line["left"] for line in lines if line["left"] is not None]
    curve = mean_accuracy(records)
    return [
        seeds or "–",
        ": ".join([", ".join(dict.fromkeys(line["status"] for line in lines)), *notes]),
        f"{done:,.0f}" + (f" of {total:,.0f}" if total else ""),
        duration(max(lefts)) if lefts else "–",
        f"{curve[-1]:.4f}" if curve else "–",
    ]


def mean_accuracy(records: Sequence[FollowedRecord]) -> list[float]:
    """The mean accuracy of the records' training runs row by row, as far as all have come."""
    curves = []
    for record in records:
        columns = record.tables["curves"].data if "curves" in record.tables else {}
        known = next((columns[name] for name in ACCURACIES if name in columns), [])
        curves.append([v for v in known if not math.isnan(v)])
    return [sum(values) / len(values) for values in zip(*curves, strict=False)]


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """Values as bars between their lowest and highest, each the mean of an equal share of them."""
    count = min(width, len(values))
    if not count:
        return ""
    edges = [i * len(values) // count for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0
    return "".join(BARS[round((mean - low) * scale)] for mean in means)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
