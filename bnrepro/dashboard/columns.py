"""Rows as columns: what the page needs of metrics.jsonl and of committed tables.

A column of numbers is an array of doubles, NaN where a row lacks it; a column of words is a list.
"""

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

Column = array | list
NAN = float("nan")


class Columns:
    """Rows appended one by one, kept by column."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.length = 0
        self.data: dict[str, Column] = {}
        for row in rows:
            self.append(row)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; a column that it brings is empty before it."""
        for name, value in row.items():
            if name not in self.data and value is not None:
                self.data[name] = _empty(value, self.length)
        for name, column in self.data.items():
            column.append(_fitting(column, row.get(name)))
        self.length += 1

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
        if key == "percentiles":
            result |= _bands(value)
        elif isinstance(value, Mapping) and key != "histogram":
            result |= {f"{key}_{inner}": number for inner, number in value.items()}
        elif isinstance(value, str | int | float) or value is None:
            result[key] = value
    return result


def _bands(percentiles: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    bands = {}
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


def _fitting(column: Column, value: Any) -> Any:
    if isinstance(column, list):
        return "" if value is None else str(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else NAN
