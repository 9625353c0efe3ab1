"""What a page shows: the sets of committed evidence and of the runs that are here.

A set is one experiment at one scale from one of the two sources. It has runs, a line each, and
tables. A table has chunks: the rows of one record, or of one curve of the evidence, as columns, and
beside them what these rows have in common (arm, seed).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnrepro.dashboard.axes import counters, find_keys, measures
from bnrepro.dashboard.columns import Columns
from bnrepro.dashboard.records import FollowedRecord, find_records
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, read

OF_CURVES = ("variant", "round", "value", "seed")  # by which curves differ
NOT_DRAWN = ("runs", "criteria")  # tables of an evidence that are no measurements
LAST = ("final_test_accuracy", "final_test_accuracy_all", "accuracy")
SETTINGS = ("init", "batch")  # of a committed run


@dataclass
class Chunk:
    """Rows that have `key` in common."""

    key: dict[str, Any]
    columns: Columns


@dataclass
class Table:
    """Rows of one shape: which columns are axes, which can be the x axis, which are measured."""

    name: str
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def length(self) -> int:
        """The rows of all chunks."""
        return sum(chunk.columns.length for chunk in self.chunks)

    def describe(self) -> dict[str, Any]:
        """Name, keys, counters and measures, as the page needs them."""
        chunk = max(self.chunks, key=lambda chunk: chunk.columns.length)
        keys = find_keys(chunk.columns)
        outer = [k for k in OF_CURVES if any(k in c.key for c in self.chunks)]
        measured = [m for c in self.chunks for m in measures(c.columns, keys)]
        return {
            "name": self.name,
            "keys": outer + [k for k in keys if k not in outer],
            "counters": counters(chunk.columns, keys),
            "measures": list(dict.fromkeys(measured)),
        }


@dataclass
class DataSet:
    """One experiment at one scale, from the committed evidence or from the runs here."""

    experiment: str
    scale: str
    source: str  # `committed` or `runs`
    runs: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # by arm
    problem: str = ""

    @property
    def name(self) -> str:
        """What the page's address calls it."""
        return f"{self.experiment}/{self.scale}/{self.source}"

    def table(self, name: str) -> Table:
        """The table of that name, made where there is none."""
        return self.tables.setdefault(name, Table(name))

    def shown_tables(self) -> Iterator[Table]:
        """The tables that have rows to draw, curves of training first, then the longest."""
        for table in sorted(self.tables.values(), key=lambda t: (t.name != "curves", -t.length)):
            table.chunks = [c for c in table.chunks if c.columns.length]
            if table.chunks and table.describe()["measures"]:
                yield table


def committed(results: Path) -> list[DataSet]:
    """A set for every folder of committed evidence; a broken one says what is wrong with it."""
    folders = sorted(path.parent for path in results.glob("*/*/runs.csv"))
    return [_of_evidence(folder) for folder in folders if folder.parts[-3] != "runs"]


def _of_evidence(folder: Path) -> DataSet:
    experiment, scale = folder.parts[-2:]
    found = DataSet(experiment, scale, "committed")
    try:
        evidence = read(folder)
    except (UserError, OSError, ValueError, EOFError) as error:
        found.problem = f"{folder}: cannot be read: {error}"
        return found
    cells = evidence.tables.get("cells", [])
    searched = [row for row in cells if "variant" in row]  # a slot sweep's cells have none
    found.runs = [_committed_run(row) for row in searched or evidence.runs]
    for row in evidence.runs if not searched else ():
        found.settings[row["variant"]] = {k: row[k] for k in SETTINGS if row.get(k) is not None}
    for name in evidence.tables:
        if name not in NOT_DRAWN:
            found.table(name).chunks = list(_chunks(evidence, name))
    return found


def _committed_run(row: Mapping[str, Any]) -> dict[str, Any]:
    """A committed run, or a run of a search, as a line of the table of runs."""
    diverged = row.get("diverged") or row.get("first_non_finite_step") is not None
    known = {k: row[k] for k in (*OF_CURVES[1:], "init_std", "lr") if row.get(k) is not None}
    return {
        "arm": row["variant"],
        **known,
        "status": row.get("status") or ("diverged" if diverged else "ok"),
        "outcome": row.get("outcome"),
        "note": "",
        "done": row.get("steps"),
        "total": None,
        "non_finite": row.get("first_non_finite_step"),
        "last": next((row[k] for k in LAST if row.get(k) is not None), None),
        "best": row.get("best_test_accuracy"),
        "seconds": row.get("wall_s"),
        "updated": None,
        "left": None,
        "data": row.get("data"),
        "hardware": row.get("hardware"),
    }


def _chunks(evidence: Evidence, name: str) -> Iterator[Chunk]:
    """A chunk a curve in a table of training curves, else all rows in one."""
    rows = evidence.tables[name]
    outer = [k for k in OF_CURVES if name == "curves" and rows and k in rows[0]]
    apart: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        inner = {k: v for k, v in row.items() if k not in outer}
        apart.setdefault(tuple(row[k] for k in outer), []).append(inner)
    for key, each in apart.items():
        yield Chunk(dict(zip(outer, key, strict=True)), Columns(each))


class Runs:
    """The records below a folder, followed as they grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[Path, FollowedRecord] = {}

    def read(self) -> list[FollowedRecord]:
        """Read what is new; the records that changed."""
        found = dict(find_records(self.folder))
        for folder, place in found.items():
            self.records.setdefault(folder, FollowedRecord(folder, place))
        self.records = {f: r for f, r in self.records.items() if f in found}
        return [record for record in self.records.values() if record.read()]

    def sets(self) -> list[DataSet]:
        """The records as sets, in the order of their folders."""
        return list(gathered(self.records.values()).values())


def gathered(records: Iterable[FollowedRecord]) -> dict[tuple[str, str], DataSet]:
    """Records as sets by experiment and scale."""
    sets: dict[tuple[str, str], DataSet] = {}
    for record in records:
        place = (record.experiment, record.scale)
        found = sets.setdefault(place, DataSet(*place, "runs"))
        found.runs.append(record.describe())
        found.settings[record.arm] = record.settings
        for name, columns in record.tables.items():
            found.table(name).chunks.append(Chunk(key_of(record), columns))
    return sets


def key_of(record: FollowedRecord) -> dict[str, Any]:
    """What tells a record's rows from those of other records."""
    return {"variant": record.arm, **record.key}
