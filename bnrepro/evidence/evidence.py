"""Evidence: the named tables that figures, tables and verdicts are made of.

    evidence = load("inception", "small")
    evidence.runs                         a list of rows; pandas.DataFrame(evidence.runs) takes it

Every evidence has two tables: `runs`, a row a record (arm, seed, how it ended, where it was made),
and `criteria`, the hashes of the claims that were fixed before all of these runs. An experiment
that trains networks adds `curves` and `units`, a search `cells`; a sweep has a table for each shape
of its rows.
"""

from collections.abc import Iterable
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import Any

from bnrepro import ROOT
from bnrepro.errors import UserError
from bnrepro.evidence.statistics import Values, largest
from bnrepro.evidence.steps import Curve, curve_of
from bnrepro.evidence.tables import Row, read_table, write_table
from bnrepro.files import read_text, reading, write_atomically

PLAIN = ("runs", "criteria", "cells")  # small tables, committed as readable CSV; others compressed
SUMS = "sha256.txt"  # of the tables' files


class Evidence:
    """Tables by name, each a list of rows; `evidence.runs` is the table `runs`.

    Another name is an AttributeError that lists the tables.
    """

    def __init__(self, **tables: list[Row]) -> None:
        self.tables: dict[str, list[Row]] = {"runs": [], "criteria": [], **tables}

    def __getattr__(self, name: str) -> list[Row]:
        if name.startswith("_") or name == "tables":  # copying and pickling look for these
            raise AttributeError(name)
        if name not in self.tables:
            raise AttributeError(f"no table {name}; there are {', '.join(self.tables)}")
        return self.tables[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "tables":
            raise AttributeError(f"{name}: assign evidence.tables[{name!r}] instead")
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Evidence) and self.tables == other.tables

    def where(self, table: str, **values: Any) -> list[Row]:
        """The rows of a table whose columns have these values."""
        rows: list[Row] = list(getattr(self, table))
        for column, value in values.items():  # several times as fast as row by row
            rows = [row for row in rows if row.get(column) == value]
        return rows

    @property
    def variants(self) -> list[str]:
        """The arms, in the order of their runs."""
        return unique(self.runs, "variant")

    @property
    def data(self) -> str:
        """The data set's name; all runs of one evidence share it."""
        return self.runs[0].get("data", "") if self.runs else ""

    def seeds(self, *variants: str) -> list[int]:
        """The seeds of an arm's runs; of several arms those that all of them have."""
        each = ({run["seed"] for run in self.where("runs", variant=v)} for v in variants)
        return sorted(set.intersection(*each))

    def run(self, variant: str, seed: int) -> Row:
        """The row of one run."""
        return self.where("runs", variant=variant, seed=seed)[0]

    def curve(self, variant: str, seed: int, axis: str = "step") -> Curve:
        """Test accuracy of one run against a column of its rows."""
        return curve_of(self.where("curves", variant=variant, seed=seed), axis=axis)


def unique(rows: Iterable[Row], column: str) -> list[Any]:
    """The values of a column, in the order in which they come."""
    return list(dict.fromkeys(row[column] for row in rows))


def grouped(rows: Iterable[Row], *columns: str) -> dict[Any, list[Row]]:
    """Rows by their value of a column, or by their values of several, in the order they come in."""
    key = itemgetter(*columns)
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def largest_by_seed(rows: Iterable[Row], *columns: str) -> Values:
    """The largest of these columns over the rows of each seed; None where one is missing."""
    each = grouped(rows, "seed").values()
    return [largest(row[column] for row in of_seed for column in columns) for of_seed in each]


def all_seeds(evidence: Evidence) -> list[int]:
    """The seeds that the rows of any table have, in order."""
    each = ({row.get("seed") for row in table} for table in evidence.tables.values())
    return sorted(seed for seed in set().union(*each) if seed is not None)


def write(evidence: Evidence, folder: Path) -> None:
    """Write a file a table, as `make publish` commits them; tables of before are removed.

    `sha256sum --check sha256.txt` knows whether they are still what was written.
    """
    for path in folder.glob("*.csv*"):
        path.unlink()
    for name, rows in evidence.tables.items():
        if rows:
            write_table(folder / f"{name}.csv{'' if name in PLAIN else '.gz'}", rows)
    write_atomically(folder / SUMS, sums(folder).encode())


def sums(folder: Path) -> str:
    """A line a table's file: the SHA-256 of its bytes and its name."""
    found = [(sha256(p.read_bytes()).hexdigest(), p.name) for p in sorted(folder.glob("*.csv*"))]
    return "".join(f"{digest}  {name}\n" for digest, name in found)


def read(folder: Path) -> Evidence:
    """Read what `write` wrote. Raises a UserError where nothing was published, and for tables that
    are not as they were written."""
    paths = sorted(folder.glob("*.csv*"))
    if not paths and not (folder / SUMS).exists():
        raise UserError(f"{folder}: no published evidence; run the experiment and `make publish`")
    with reading(folder / SUMS):
        lines = {*read_text(folder / SUMS).splitlines()} ^ {*sums(folder).splitlines()}
    if changed := sorted({line.split()[-1] for line in lines}):
        raise UserError(
            f"{folder}: {', '.join(changed)}: not as published; `git checkout {folder}` restores it"
        )
    return Evidence(**{path.name.split(".")[0]: read_table(path) for path in paths})


def load(experiment: str, scale: str) -> Evidence:
    """The committed evidence of an experiment at a scale. Raises a UserError without any."""
    return read(ROOT / "results" / experiment / scale)
