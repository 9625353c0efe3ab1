"""Rows as CSV files, compressed where the name ends in .gz: the form in which evidence is kept."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnrepro.files import write_atomically

TEXT = ("commit", "hash", "config_hash", "data_checksum")  # stays text, even when all digits
Row = dict[str, Any]


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows, a column for every key; the same rows give the same bytes."""
    columns = dict.fromkeys(key for row in rows for key in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = out.getvalue().encode()
    write_atomically(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_table(path: Path) -> list[Row]:
    """Read what `write_table` wrote: numbers as numbers, nothing as None."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    rows = csv.DictReader(io.StringIO(text))
    return [{k: v if k in TEXT else _parse(v) for k, v in row.items()} for row in rows]


def _parse(text: str) -> Any:
    if text in ("", "True", "False"):
        return {"": None, "True": True, "False": False}[text]
    for kind in (int, float) if "_" not in text else ():  # Python reads 1_000 as a number
        try:
            return kind(text)
        except ValueError:
            continue
    return text
