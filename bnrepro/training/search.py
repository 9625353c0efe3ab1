"""The search for settings that the paper leaves open: a grid of one or more axes.

    result = search(axes, rules, train_round)

The rule, the same for every search: all cells are trained for a share of the budget; while the best
lies at the edge of an axis, the grid grows there by the axis' factor; the best cells are trained
anew with the whole budget, and while the winner lies at an edge, the grid grows there too and the
best of the new cells joins the finalists. These functions see scores alone.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnrepro.config.rules import fraction, not_negative, problem_of_number, setting, shown, twice
from bnrepro.config.schema import PROCESSES, DataConfig
from bnrepro.errors import UserError

Cell = tuple[float, ...]  # a value an axis
Scores = dict[Cell, float]
SMALLEST_FACTOR, LARGEST_FACTOR = 1.01, 1000  # of an axis, whose values keep three digits
MOST_CELLS = 10_000
TrainRound = Callable[[str, Sequence[Cell], float], Scores]  # name, cells, share of the budget


@dataclass(frozen=True)
class Axis:
    """The values of one key, in rising order, and the factor by which the axis grows."""

    values: Sequence[float]
    factor: float = 1.0  # 1: never extended


@dataclass
class SearchConfig:
    """A grid over keys of the config, and the rule that reads it."""

    axes: dict[str, Any] = setting(check=None)  # the first values of each key: lists of numbers
    factors: dict[str, float] = setting(check=None)  # by which a key's axis grows
    max_extensions: int = setting(check=not_negative, most=20)  # times that the axes may grow
    finalists: int | None = setting(None)  # best cells, trained anew; null: one round in full
    short: float = setting(check=fraction)  # share of the budget in the short rounds
    jobs: int = setting(1, neutral=True, most=PROCESSES)  # runs side by side

    def check(self, prefix: str) -> None:
        """Raise a UserError unless every axis has different values above 0 and a factor."""
        if not self.axes:
            raise UserError(f"{prefix}axes: name at least one")
        for key, values in self.axes.items():
            if problem := axis_problem(values):
                raise UserError(f"{prefix}axes.{key}={shown(values)}: {problem}")
            factor = self.factors.get(key, 0)
            grows = SMALLEST_FACTOR <= factor <= LARGEST_FACTOR
            if not grows and (factor != 1 or self.max_extensions):
                raise UserError(
                    f"{prefix}factors.{key}: give the factor by which the axis grows, "
                    f"{SMALLEST_FACTOR} to {LARGEST_FACTOR} (found {factor:g}); with "
                    f"{prefix}max_extensions=0 it may be 1"
                )
        if unknown := self.factors.keys() - self.axes.keys():
            raise UserError(f"{prefix}factors.{min(unknown)}: no such axis in {prefix}axes")
        if (cells := self.cells()) > MOST_CELLS:
            raise UserError(f"{prefix}axes: {cells:,} cells; at most {MOST_CELLS:,}")

    def cells(self) -> int:
        """How many cells the first grid has."""
        return math.prod(map(len, self.axes.values()))

    def check_budget(self, steps: float) -> None:
        """Raise a UserError for rounds without a step, of so many in full."""
        share = 1.0 if self.finalists is None else self.short
        if share * steps < 1:
            raise UserError(f"grid: a round of {share:g} · {steps:g} steps is less than one step")

    def parsed(self) -> list[Axis]:
        """The axes of the grid, in the order of the keys."""
        return [Axis(sorted(map(float, v)), self.factors[key]) for key, v in self.axes.items()]


def axis_problem(values: Any) -> str | None:
    """What is wrong with the values of an axis."""
    if not isinstance(values, list) or not values:
        return "name at least one, as a list"
    if not all(type(v) in (int, float) and v > 0 for v in values):
        return "each must be greater than 0"
    if problem := next(filter(None, map(problem_of_number, values)), None):
        return f"each {problem}"
    if (double := twice([f"{v:g}" for v in values])) is not None:  # how folders name them
        return f"names {double} twice"
    return None


def check_held_out(data: DataConfig) -> None:
    """Raise a UserError for a search that would look at the test set."""
    if data.validation == 0:
        raise UserError(
            "data.validation=0: a search would tune on the test set; say how many training images "
            "are held out for it"
        )


@dataclass
class SearchResult:
    """Every round's scores by name, and the winner among the finalists."""

    rounds: dict[str, Scores] = field(default_factory=dict)
    finals: Scores = field(default_factory=dict)
    at_edge: bool = False

    @property
    def winner(self) -> Cell:
        """The best finalist."""
        return best(self.finals)


def search(cfg: SearchConfig, train_round: TrainRound) -> SearchResult:
    """Train rounds by the rule until the winner lies inside the grid or extensions are used up."""
    result, axes = SearchResult(), cfg.parsed()

    def train(name: str, cells: Sequence[Cell], budget: float) -> Scores:
        result.rounds[name] = train_round(name, cells, budget)
        return result.rounds[name]

    left = iter(range(1, cfg.max_extensions + 1))
    short = 1.0 if cfg.finalists is None else cfg.short
    scores = dict(train("grid", list(itertools.product(*(a.values for a in axes))), short))
    while (cells := extend(scores, best(scores), axes)) and (number := next(left, None)):
        scores |= train(f"extension-{number}", cells, short)
    result.finals = scores
    if cfg.finalists is not None:
        result.finals = dict(train("finalists", top(scores, cfg.finalists), 1.0))
        while (cells := extend(scores, result.winner, axes)) and (number := next(left, None)):
            new = train(f"extension-{number}", cells, short)
            scores |= new
            result.finals |= train(f"finalist-{number}", [best(new)], 1.0)
    result.at_edge = bool(extend(scores, result.winner, axes))
    return result


def describe(result: SearchResult, keys: Sequence[str]) -> dict[str, Any]:
    """The search as its record's summary keeps it."""
    winner = dict(zip(keys, result.winner, strict=True))
    return {
        "at_edge": result.at_edge,
        "winner": {**winner, "score": result.finals[result.winner]},
        "rounds": {
            name: [[*cell, score] for cell, score in scores.items()]
            for name, scores in result.rounds.items()
        },
    }


def top(scores: Mapping[Cell, float], count: int) -> list[Cell]:
    """The best cells, best first; of equals the one with the lower values."""
    return sorted(scores, key=lambda cell: (-scores[cell], cell))[:count]


def best(scores: Mapping[Cell, float]) -> Cell:
    """The cell with the highest score."""
    return top(scores, 1)[0]


def extend(scores: Mapping[Cell, float], optimum: Cell, axes: Sequence[Axis]) -> list[Cell]:
    """The cells of one more value on each axis at whose edge the optimum lies; none inside."""
    known = [sorted({cell[i] for cell in scores}) for i in range(len(axes))]
    new = [beyond(optimum[i], known[i], axis.factor) for i, axis in enumerate(axes)]
    grid = itertools.product(*(old + more for old, more in zip(known, new, strict=True)))
    return [cell for cell in grid if cell not in scores]


def beyond(value: float, axis: Sequence[float], factor: float) -> list[float]:
    """The value that follows where the optimum lies at the edge of its axis, if any."""
    if factor == 1 or len(axis) < 2:
        return []
    if value == axis[0]:
        return [float(f"{axis[0] / factor:.3g}")]
    return [float(f"{axis[-1] * factor:.3g}")] if value == axis[-1] else []
