"""The page: sets of curves, its program and its style in one file that asks no server for anything.

The program is JavaScript without a library, drawn on a canvas. `scripts/bench_dashboard.py`
measures how long 300 curves of 5,000 points take to open, to move and to hide.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.special import stdtrit

from bnrepro import ROOT
from bnrepro.config.claims import read_claims
from bnrepro.dashboard.data import DataSet, Table
from bnrepro.dashboard.encoding import Bytes, encode, thinned
from bnrepro.evidence.ledger import in_papers_order
from bnrepro.experiment import discover
from bnrepro.files import parse_yaml
from bnrepro.plots.style import ARMS, DASHES, OTHERS, arm

WEB = Path(__file__).parent / "web"
PARTS = (
    *("view", "columns", "tables", "statistics", "scales", "looks", "scene", "curves", "marks"),
    *("target", "reading", "moving", "heatmap", "controls", "arms", "runs", "live", "main"),
)
MOST = 11_500_000  # bytes of the data in a page
BUCKETS = (6000, 3000, 1500, 1000, 700, 500, 350, 250, 150, 100, 50)  # a curve, by and by


def build(sets: Sequence[DataSet], live: int | None = None) -> str:
    """The page that shows these sets; `live`: the number of the last event, for a page served."""
    about = {
        "made": time.time(),
        "live": live,
        "quantiles": [None, *(float(stdtrit(df, 0.975)) for df in range(1, 101))],
        "experiments": experiments(),
        "looks": {name: look(name) for name in ARMS},
        "palette": {"colours": OTHERS, "dashes": [dash_of(d) for d in DASHES]},
    }
    shown, blobs = fitting(sets)
    return fill(json.dumps({**about, "sets": shown}, separators=(",", ":")), blobs)


def fill(data: str, blobs: Sequence[str]) -> str:
    """The template with its style, its program and the data in their places."""
    program = "\n".join((WEB / f"{part}.js").read_text("utf-8") for part in PARTS)
    holders = "\n".join(
        f'<script type="text/plain" id="bytes-{i}">{blob}</script>' for i, blob in enumerate(blobs)
    )
    page = (WEB / "page.html").read_text("utf-8")
    contents = {
        "style": (WEB / "style.css").read_text("utf-8"),
        "bytes": holders,
        "data": data.replace("</", "<\\/"),
        "program": program,
    }
    for name, content in contents.items():
        head, tail = page.split(f"{{{{ {name} }}}}")
        page = head + content + tail
    return page


def fitting(sets: Sequence[DataSet]) -> tuple[list[dict[str, Any]], list[str]]:
    """The sets as the page holds them, thinned as far as it takes for the page to stay small."""
    whole = with_buckets(sets, BUCKETS[0], MOST)
    low, high, best = 1, len(BUCKETS) - 1, None
    while not whole and low <= high:  # the most buckets that fit
        middle = (low + high) // 2
        found = with_buckets(sets, BUCKETS[middle], MOST)
        low, high, best = (low, middle - 1, found) if found else (middle + 1, high, best)
    return whole or best or with_buckets(sets, BUCKETS[-1], math.inf) or ([], [])


def with_buckets(
    sets: Sequence[DataSet], buckets: int, most: float
) -> tuple[list[dict[str, Any]], list[str]] | None:
    """The sets and their bytes with curves of so many buckets; None above `most` bytes."""
    described: list[dict[str, Any]] = []
    blobs: list[str] = []
    for number, each in enumerate(sets):
        content = Bytes()
        described.append({**describe(each, content, buckets), "bytes": number})
        blobs.append(content.text())
        if sum(map(len, blobs)) > most:
            return None
    return described, blobs


def describe(each: DataSet, content: Bytes, buckets: int) -> dict[str, Any]:
    """A set without its numbers, which go into `content`."""
    return {
        "name": each.name,
        "experiment": each.experiment,
        "scale": each.scale,
        "source": each.source,
        "problem": each.problem,
        "runs": each.runs,
        "settings": each.settings,
        "tables": [encode_table(table, content, buckets) for table in each.shown_tables()],
    }


def encode_table(table: Table, content: Bytes, buckets: int) -> dict[str, Any]:
    """A table whose long curves are thinned; a table of other rows is kept whole."""
    about = table.describe()
    drawn = {*about["keys"], *about["counters"], *about["measures"]}
    chunks = []
    for chunk in table.chunks:
        data = {k: v for k, v in chunk.columns.data.items() if k in drawn}
        columns = {}
        if set(about["keys"]) <= {*chunk.key, "step"} and chunk.columns.length > 2 * buckets:
            measured = {k: data[k] for k in about["measures"] if k in data}
            columns = thinned(measured, content, buckets)
        columns |= {k: encode(v, content) for k, v in data.items() if k not in columns}
        chunks.append({"key": chunk.key, "n": chunk.columns.length, "columns": columns})
    return {**about, "chunks": chunks}


def experiments() -> list[dict[str, Any]]:
    """Every experiment in the paper's order: its question, the paper's values, its reference."""
    return [
        {
            "stem": stem,
            "section": discover()[stem].section,
            "question": discover()[stem].question,
            "paper": paper_values(stem),
            "against": reference(stem),
        }
        for stem in in_papers_order()
    ]


def paper_values(stem: str) -> list[dict[str, Any]]:
    """The values that the paper prints for an experiment's metrics, from its `paper.yaml`."""
    path = ROOT / "configs" / stem / "paper.yaml"
    return parse_yaml(path.read_text("utf-8")) if path.exists() else []


def reference(stem: str) -> str | None:
    """The arm that most of an experiment's claims compare others with."""
    against = [claim["against"] for claim in read_claims(stem) if "against" in claim]
    return max(dict.fromkeys(against), key=against.count, default=None)


def look(name: str) -> dict[str, Any]:
    """An arm's label, colour and dash: those of the figures."""
    found = arm(name)
    return {"label": found.label, "colour": found.colour, "dash": dash_of(found.dash)}


def dash_of(dash: str | tuple[int, tuple[int, ...]]) -> list[int]:
    """Matplotlib's dash as a canvas takes it."""
    return [] if isinstance(dash, str) else list(dash[1])
