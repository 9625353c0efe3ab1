"""Rows as columns: what the page needs of metrics.jsonl and of committed tables.

A column of numbers is an array of doubles, NaN where a row lacks it; a column of words is a list.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Column = array | list
NAN = float("nan")


class Columns:
    """Rows, kept by column."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.length = 0
        self.data: dict[str, Column] = {}
        self.extend(list(rows))

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; a column that they bring is empty before them."""
        for name in dict.fromkeys(name for row in rows for name in row):
            if name not in self.data:
                known = (row[name] for row in rows if row.get(name) is not None)
                if (first := next(known, None)) is not None:
                    self.data[name] = _empty(first, self.length)
        for name, column in self.data.items():
            column.extend(_fitting(column, [row.get(name) for row in rows]))
        self.length += len(rows)

    def numbers(self) -> list[str]:
        """The columns of numbers, in the order in which they came."""
        return [name for name, column in self.data.items() if isinstance(column, array)]

    def last(self, name: str) -> float | None:
        """The last number of a column that is there; None without one."""
        column = self.data.get(name, ())
        return next((v for v in reversed(column) if not math.isnan(v)), None)


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A logged row without nesting: `grad_norm_hidden1`, `saturated_hidden1`, …

    Percentiles of all units become their means over the units: `p15_training_hidden1`,
    `median_training_hidden1`, `p85_training_hidden1`, and `spread_training_hidden1`, the mean of
    p85 − p15. Histograms are left out.
    """
    result: dict[str, Any] = {}
    for key, value in row.items():
        if value is None or isinstance(value, str | int | float):
            result[key] = value
        elif key == "percentiles":
            result |= _bands(value)
        elif isinstance(value, dict) and key != "histogram":
            result |= {f"{key}_{inner}": number for inner, number in value.items()}
    return result


def _bands(percentiles: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    bands: dict[str, float] = {}
    for mode, layers in percentiles.items():
        for layer, units in layers.items():
            if units is not None:  # else not finite
                low, middle, high = (math.fsum(each) / len(each) for each in units)
                values = {"p15": low, "median": middle, "p85": high, "spread": high - low}
                bands |= {f"{k}_{mode}_{layer}": round(v, 5) for k, v in values.items()}
    return bands


def _empty(value: object, length: int) -> Column:
    if isinstance(value, str | bool):
        return [""] * length
    return array("d", [NAN]) * length


def _fitting(column: Column, values: list[Any]) -> Column:
    if isinstance(column, list):
        return ["" if value is None else str(value) for value in values]
    try:
        return array("d", values)
    except TypeError:  # not all are numbers
        return array("d", [v if isinstance(v, int | float) else NAN for v in values])
