"""Which columns of a table are axes, found from its rows: a sweep says so nowhere else.

The keys of a table are a smallest set of columns in whose values any two rows differ that differ in
any column of few values. The other columns of numbers are measured.
"""

import math
from array import array
from typing import Any

from bnrepro.dashboard.columns import Column, Columns

FEW = 100  # values of a key; a counter of steps may have more
ROWS = 6000  # that are looked at
COUNTERS = ("step", "examples", "epoch", "wall_s")  # an x axis each, where they go with the step
NOT_MEASURED = ("cell", "seed", "unit", "step")
PROVENANCE = ("commit", "dirty", "hardware", "torch", "data", "data_checksum", "config_hash")
NO_KEYS = ("cell", "unit", "outcome", *PROVENANCE)


def find_keys(table: Columns) -> list[str]:
    """The columns by which rows differ, in the table's order."""
    values = {k: _listed(c) for k, c in table.data.items() if k not in NO_KEYS}
    kept = [k for k in values if len(set(values[k])) > 1 and _is_setting(k, values[k])]
    most = _distinct(values, kept)
    for name in sorted(kept, key=lambda k: _removed_first(table, k, values)):
        others = [k for k in kept if k != name]
        if _distinct(values, others) == most:
            kept = others
    return kept


def counters(table: Columns, keys: list[str]) -> list[str]:
    """The columns that can be the x axis in place of the training step, `step` first."""
    if "step" not in keys:
        return []
    others = (name for name in COUNTERS[1:] if name in table.data and name not in keys)
    return ["step", *(k for k in others if _rises(table.data["step"], table.data[k]))]


def measures(table: Columns, keys: list[str]) -> list[str]:
    """The columns of numbers that are neither keys nor counters."""
    taken = {*keys, *counters(table, keys), *NOT_MEASURED}
    return [name for name in table.numbers() if name not in taken]


def _listed(column: Column) -> list[Any]:
    """The first values of a column, None for no number."""
    if isinstance(column, list):
        return column[:ROWS]
    return [None if math.isnan(v) else v for v in column[:ROWS]]


def _is_setting(name: str, values: list[Any]) -> bool:
    return name == "step" or isinstance(values[0], str) or len(set(values)) <= FEW


def _removed_first(table: Columns, name: str, values: dict[str, list[Any]]) -> tuple[int, int]:
    """What is dropped first: of many values fractions, then whole numbers, then words."""
    if name in ("seed", "step"):
        return (3, 0)
    if not isinstance(table.data[name], array):
        return (2, -len(set(values[name])))
    whole = all(v is None or float(v).is_integer() for v in values[name])
    return (int(whole), -len(set(values[name])))


def _distinct(values: dict[str, list[Any]], names: list[str]) -> int:
    return len(set(zip(*(values[name] for name in names), strict=True))) if names else 1


def _rises(steps: Column, column: Column) -> bool:
    """Whether a column rises with the step, which may begin anew where the next curve begins."""
    pairs = zip(steps, steps[1:], column, column[1:], strict=False)
    return all(after >= before for s, t, before, after in pairs if t > s)
