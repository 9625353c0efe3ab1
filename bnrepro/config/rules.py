"""Rules of config fields: which values a key may have, and whether it changes a run's numbers."""

import dataclasses
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from omegaconf import MISSING

from bnrepro.errors import UserError

Check = Callable[[Any], str | None]  # a number, or the text of a text field → what is wrong with it
LARGEST = 1_000_000_000  # of a whole number whose field names no bound: more never ends
LARGEST_FLOAT = 3.4e38  # of another number: what float32 holds
SMALLEST = 1e-30  # of a number that is not 0: its square is still not 0
BATCH = 1_000_000  # examples
UNITS = 100_000  # of a layer
LONGEST = 10_000  # elements of a list
NAME_BYTES = 255  # of a folder or file, on the usual file systems


@dataclass(frozen=True)
class Rule:
    """What the validation of a field needs to know; `setting` makes one."""

    check: Check | None = None  # of a number or a text (each of a list); None: nothing is wrong
    least: float | None = None  # the smallest number allowed, where the field has its own
    most: float | None = None  # the largest
    choices: tuple[str, ...] = ()  # the allowed values (of a list: of its elements); empty: all
    neutral: bool = False  # leaves a run's numbers as they are, so the hash leaves it out
    empty: bool = False  # a list may be empty
    rising: bool = False  # a list must rise
    distinct: bool = False  # a list names each of its values once
    grid: bool = False  # a list of [until, every] pairs of steps


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
    if number < 2:
        return "a mini-batch of one has no variance; at least 2"
    return None if number <= BATCH else f"must be at most {BATCH:,}"


def setting(default: Any = MISSING, check: Check | None = positive, **rule: Any) -> Any:
    """A dataclass field with its rule; without `default` the YAML files must give the value."""
    metadata = {"rule": Rule(check, **rule)}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def choice(*choices: str, default: Any = MISSING, **rule: Any) -> Any:
    """A field with one of the given values, or a list of them, each named once."""
    return setting(default, None, choices=choices, distinct=True, **rule)


def neutral(default: Any = MISSING, check: Check | None = None, **rule: Any) -> Any:
    """A field that leaves a run's numbers as they are."""
    return setting(default, check, neutral=True, **rule)


def rule_of(field: dataclasses.Field[Any]) -> Rule:
    """The field's rule; a field declared without one takes any value."""
    return field.metadata.get("rule", Rule())


def validate_fields(node: Any, prefix: str = "") -> None:
    """Hold every field of a config object to its rule, and every section to its own `check`.

    Raises a UserError for the first key that breaks a rule: its value and what is allowed.
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
    if value == MISSING:
        raise UserError(f"{key}: has no value")
    values = value if isinstance(value, list) else [value]
    if rule.choices and (bad := [v for v in values if v not in rule.choices]):
        raise UserError(f"{key}={shown(bad[0])}: allowed are {', '.join(rule.choices)}")
    find = _problem_of_list if isinstance(value, list) else _problem
    if problem := find(value, rule):
        raise UserError(f"{key}={shown(value)}: {problem}")


def _problem_of_list(values: list[Any], rule: Rule) -> str | None:
    if rule.grid:
        return None if _is_grid(values) else GRID
    if not values:
        return None if rule.empty else "name at least one"
    if any(isinstance(value, list | dict | None) for value in values):
        return "each must be a single value"
    if problem := next(filter(None, (_problem(value, rule) for value in values)), None):
        return f"each {problem}" if problem.startswith("must be ") else problem
    if len(values) > LONGEST:
        return f"{len(values):,} values; at most {LONGEST:,}"
    if rule.rising and any(a >= b for a, b in pairwise(values)):
        return "must rise"
    if rule.distinct and (double := twice(values)) is not None:
        return f"names {double} twice"
    return None


def twice(values: list[Any]) -> Any:
    """The first value that a list holds a second time; None: all differ."""
    seen: set[Any] = set()
    return next((v for v in values if v in seen or seen.add(v)), None)  # type: ignore[func-returns-value]


def _problem(value: Any, rule: Rule) -> str | None:
    if isinstance(value, str):
        problem = _problem_of_text(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        problem = problem_of_number(value, rule.least, rule.most)
    else:
        return None
    return problem or (rule.check(value) if rule.check else None)


def problem_of_number(
    number: float, least: float | None = None, most: float | None = None
) -> str | None:
    """What is wrong with a number, wherever it stands."""
    if isinstance(number, float) and not math.isfinite(number):
        return "must be a finite number"
    end = (LARGEST_FLOAT if isinstance(number, float) else LARGEST) if most is None else most
    if abs(number) > end:
        return f"must be at most {end:,}" if end <= LARGEST else f"must be at most {end:g}"
    if least is not None and number < least:
        return f"must be at least {least:,}"
    if 0 < abs(number) < SMALLEST:
        return f"must be 0 or at least {SMALLEST:g} in size"
    if number == 0 and math.copysign(1, number) < 0:
        return "negative zero; write 0"
    return None


def _problem_of_text(text: str) -> str | None:
    """Texts name things: paths, projects, devices."""
    if not text.strip():
        return "must not be empty"
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        return "must be one line without control characters"
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in text.split("/"))
    if longest > NAME_BYTES:
        return f"a name of {longest} bytes; a disk takes {NAME_BYTES}"
    return None


def shown(value: Any, length: int = 80) -> str:
    """A value in a message: one line, its middle left out where it is long."""
    text = str(value) if str(value).isprintable() else ascii(value)
    return text if len(text) <= length else f"{text[: length // 2]} … {text[-length // 4 :]}"


GRID = (
    "give pairs [until, every] in steps, 'until' rising to at most a billion, 'every' of at least "
    "1 and no longer than its stretch"
)


def _is_grid(grid: list[list[int]]) -> bool:
    """Whether every stretch of a grid has a stop."""
    if not grid or any([*map(type, pair)] != [int, int] for pair in grid):
        return False
    starts = [0, *(until for until, _ in grid)]
    stretches = zip(starts, grid, strict=False)
    return grid[-1][0] <= LARGEST and all(1 <= e <= until - s for s, (until, e) in stretches)
