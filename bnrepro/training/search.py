"""The rules that read a grid, of learning rate × initial standard deviation or of one value.

Their words stand in `configs/mnist_grid.yaml` and `configs/inception_grid.yaml`; these functions
only look at results.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from bnrepro.config import GridConfig


class Cell(NamedTuple):
    lr: float
    std: float


C = TypeVar("C", Cell, float)


def score(rows: Sequence[Mapping[str, Any]]) -> dict[Cell, float]:
    """Mean last accuracy over seeds of each cell, from one row a slot."""
    values: dict[Cell, list[float]] = defaultdict(list)
    for row in rows:
        values[Cell(row["lr"], row["init_std"])].append(row["test_accuracy"])
    return {cell: sum(v) / len(v) for cell, v in values.items()}


def top(scores: Mapping[C, float], count: int) -> list[C]:
    """The best cells, best first; of equals the one with the lower rate or value."""
    return sorted(scores, key=lambda cell: (-scores[cell], cell))[:count]


def best(scores: Mapping[C, float]) -> C:
    return top(scores, 1)[0]


def extend(scores: Mapping[Cell, float], optimum: Cell, grid: GridConfig) -> list[Cell]:
    """The cells of one more row and column on the sides where the optimum lies at the edge.

    Empty when it lies inside. A factor of 1, or one value only, never extends.
    """
    rates, stds = sorted({c.lr for c in scores}), sorted({c.std for c in scores})
    new_rates = beyond(optimum.lr, rates, grid.lr_factor)
    new_stds = beyond(optimum.std, stds, grid.std_factor)
    cells = [Cell(lr, std) for lr in rates + new_rates for std in stds + new_stds]
    return [cell for cell in cells if cell not in scores]


def beyond(value: float, axis: list[float], factor: float) -> list[float]:
    """The value that follows on the side where the optimum lies at the edge of its axis, if any."""
    if factor == 1 or len(axis) < 2:
        return []
    if value == axis[0]:
        return [float(f"{axis[0] / factor:.3g}")]
    return [float(f"{axis[-1] * factor:.3g}")] if value == axis[-1] else []
