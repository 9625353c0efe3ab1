"""Rules of config fields: which values a key may have, and whether it changes a run's numbers."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from bnrepro.errors import UserError

Check = Callable[[float], str | None]  # a number → what is wrong with it


@dataclass(frozen=True)
class Rule:
    """What the validation of a field needs to know; `setting` makes one.

    Attributes:
        check: says what is wrong with a number (each number of a list); None: any number.
        choices: the allowed values (of a list: of each of its elements); empty: all.
        neutral: the value leaves a run's numbers as they are, so the hash leaves it out.
        empty: a list may be empty.
        rising: a list must rise.
        grid: the value is a list of [until, every] pairs of steps.
    """

    check: Check | None = None
    choices: tuple[str, ...] = ()
    neutral: bool = False
    empty: bool = False
    rising: bool = False
    grid: bool = False


def positive(number: float) -> str | None:
    """Greater than 0."""
    return None if number > 0 else "must be greater than 0"


def not_negative(number: float) -> str | None:
    """0 or greater."""
    return None if number >= 0 else "must not be negative"


def share(number: float) -> str | None:
    """Between 0 and 1."""
    return None if 0 <= number <= 1 else "must lie between 0 and 1"


def fraction(number: float) -> str | None:
    """Greater than 0, at most 1."""
    return None if 0 < number <= 1 else "must be greater than 0 and at most 1"


def below_one(number: float) -> str | None:
    """Between 0 and 1, 1 excluded."""
    return None if 0 <= number < 1 else "must lie between 0 and 1, 1 excluded"


def mini_batch(number: float) -> str | None:
    """At least 2: the variance of one example is 0."""
    return None if number >= 2 else "a mini-batch of one has no variance; at least 2"


def setting(default: Any = MISSING, check: Check | None = positive, **rule: Any) -> Any:
    """A dataclass field with its rule; without `default` the YAML files must give the value."""
    metadata = {"rule": Rule(check, **rule)}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def choice(*choices: str, default: Any = MISSING, neutral: bool = False) -> Any:
    """A field with one of the given values, or a list of them."""
    return setting(default, None, choices=choices, neutral=neutral)


def neutral(default: Any = MISSING, check: Check | None = None) -> Any:
    """A field that leaves a run's numbers as they are."""
    return setting(default, check, neutral=True)


def rule_of(field: dataclasses.Field[Any]) -> Rule:
    """The field's rule; a field declared without one takes any value."""
    return field.metadata.get("rule", Rule())


def validate_fields(node: Any, prefix: str = "") -> None:
    """Hold every field of a config object to its rule, and every section to its own `check`.

    Raises:
        UserError: the first key that breaks a rule, with its value and what is allowed.
    """
    fields = {field.name: field for field in dataclasses.fields(node)}
    for name, value in vars(node).items():
        if name not in fields:
            allowed = ", ".join(fields)
            raise UserError(f"{prefix}{name}: no such key; allowed here are {allowed}")
        if dataclasses.is_dataclass(value):
            validate_fields(value, f"{prefix}{name}.")
        else:
            validate_value(prefix + name, value, rule_of(fields[name]))
    if hasattr(node, "check"):
        node.check(prefix)


def validate_value(key: str, value: Any, rule: Rule) -> None:
    """Hold one value to a rule. Raises a UserError that names the key."""
    if value is None:
        return
    if rule.grid:
        return _validate_grid(key, value)
    each, word = (value, "each ") if isinstance(value, list) else ([value], "")
    if not each and not rule.empty:
        raise UserError(f"{key}=[]: name at least one")
    for element in each:
        if rule.choices and element not in rule.choices:
            raise UserError(f"{key}={element}: allowed are {', '.join(rule.choices)}")
    for number in _numbers(each):
        if not math.isfinite(number):
            raise UserError(f"{key}={value}: {word}must be a finite number")
        if rule.check and (problem := rule.check(number)):
            raise UserError(f"{key}={value}: {word if problem.startswith('must') else ''}{problem}")
    if rule.rising and value != sorted(set(value)):
        raise UserError(f"{key}={value}: must rise")


def _numbers(values: list[Any]) -> Iterator[float]:
    return (v for v in values if isinstance(v, int | float) and not isinstance(v, bool))


def _validate_grid(key: str, grid: list[list[int]]) -> None:
    untils = [pair[0] for pair in grid if len(pair) == 2]
    if len(untils) < len(grid) or untils != sorted(set(untils)) or any(p[1] < 1 for p in grid):
        raise UserError(
            f"{key}={grid}: give pairs [until, every] in steps with rising 'until' and "
            "'every' of at least 1"
        )
