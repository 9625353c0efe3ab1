"""Overrides as they are typed, checked before Hydra composes them.

Hydra's grammar takes some texts for something else, and drops what it does not need: these mistakes
cannot be seen in the config any more.
"""

import itertools
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    Glob,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException

from bnrepro import ROOT
from bnrepro.config.rules import shown, twice
from bnrepro.config.schema import PROCESSES
from bnrepro.errors import UserError
from bnrepro.experiment import find, stems

JOBS = 10_000  # of a sweep


def check_overrides(experiment: str, overrides: Sequence[str], sweep: bool = False) -> list[str]:
    """The overrides, with the names that a glob stands for in its place.

    `sweep`: of a command with `-m`, where `key=a,b` runs a job for each value. Raises a UserError
    for the first override that does not mean what it says.
    """
    checked, groups, jobs = [], set(), 1
    for text in overrides:
        override = _parse(experiment, text)
        key = override.key_or_group
        if override.is_sweep_override():
            values = _values(experiment, override, sweep)
            jobs *= len(values)
            if isinstance(override.value(), Glob):
                text = f"{override.get_key_element()}={','.join(values)}"
        elif not override.is_delete():
            _check_value(experiment, text, override)
        if jobs > JOBS:
            raise UserError(f"{shown(text)}: more than {JOBS:,} jobs")
        if key in groups:
            raise UserError(f"{key}: given twice")
        if options_of(experiment, key) is not None:
            groups.add(key)
        checked.append(text)
    return checked


def _parse(experiment: str, text: str) -> Override:
    key, equals, value = text.partition("=")
    if not key or (not equals and not text.startswith("~")):
        raise UserError(
            f"{shown(text)}: settings are given as key=value; python -m experiments.{experiment} "
            "--help lists them"
        )
    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, RecursionError):
        kind = kind_of(experiment, key)
        if kind is not None and str not in (kind, *get_args(kind)):
            raise UserError(
                f"{key}={shown(value)}: cannot be read; a list is written [1,2], a text with "
                f"special characters in quotes: {quoted(key, value)}"
            ) from None
        raise _needs_quotes(key, value) from None


def _needs_quotes(key: str, value: str) -> UserError:
    return UserError(
        f"{key}={shown(value)}: quote the value, for Hydra reads its characters otherwise: "
        f"{quoted(key, value)}"
    )


def quoted(key: str, value: str) -> str:
    """The override as a shell, or `make`, passes it on for Hydra to take the value for text."""
    argument = shlex.quote(f"{key}={QuotedString(value, Quote.double).with_quotes()}")
    if "MAKELEVEL" not in os.environ:
        return argument
    argument = argument.replace("$", "$$")  # for make, and then for the shell that calls it
    escaped = re.sub(r'([\\"`$])', r"\\\1", argument)
    return f'ARGS="{escaped}"'


def _values(experiment: str, override: Override, sweep: bool) -> Sequence[Any]:
    """The values of a sweep, all of them different and at least one; JOBS + 1 of too many."""
    text = str(override.input_line)
    if not sweep:
        raise UserError(
            f"{shown(text)}: several values; a list is written [a,b], a text with commas is "
            "quoted, and a run for each value is started by -m (python -m experiments.… -m …)"
        )
    value, values = override.value(), []
    if isinstance(value, IntervalSweep):
        raise UserError(f"{shown(text)}: an interval has no end of values; name them: a,b,c")
    if isinstance(value, Glob):
        options = options_of(experiment, override.key_or_group) or []
        if not (values := value.filter(options)):
            raise UserError(f"{text}: no such {override.key_or_group}; {_there_are(options)}")
    elif isinstance(value, RangeSweep) and value.step:
        values = [*itertools.islice(value.range(), JOBS + 1)]
    elif not isinstance(value, RangeSweep):
        values = [*override.sweep_string_iterator()]
    if not values:
        raise UserError(f"{shown(text)}: no value")
    if (double := twice(values)) is not None:
        raise UserError(f"{shown(text)}: names {double} twice")
    return values


def _check_value(experiment: str, text: str, override: Override) -> None:
    """Hold a value against what Hydra or OmegaConf would turn it into without a word."""
    key, value = override.key_or_group, override.value()
    options = options_of(experiment, key)
    if options is not None and not isinstance(value, dict):
        if not isinstance(value, str) or not value:
            raise UserError(f"{shown(text)}: one name is needed; {_there_are(options)}")
        return
    if key.split("/")[0] == "hydra" and not isinstance(value, str | dict):
        raise UserError(f"{shown(text)}: the name of one of Hydra's files is needed")
    if key.startswith("hydra.launcher.") and type(value) is int:
        _check_launcher(key, value)
    kind, typed = kind_of(experiment, key), override.get_value_string()
    if kind is bool and isinstance(value, int) and not isinstance(value, bool):
        raise UserError(f"{text}: true or false")
    is_text = str in (kind, *get_args(kind))
    if is_text and isinstance(value, bool | int | float) and str(value) != typed:
        raise _needs_quotes(key, typed)


def _check_launcher(key: str, value: int) -> None:
    """Refuse numbers that launchers stumble over; joblib counts cores from −1 down."""
    most = PROCESSES if key.endswith(("n_jobs", "per_node")) else JOBS
    if key.endswith("n_jobs") and -PROCESSES <= value < 0:
        return
    least = 0 if key.endswith("gpus_per_node") else 1
    if not least <= value <= most:
        raise UserError(f"{key}={value}: must be a whole number from {least} to {most:,}")


def options_of(experiment: str, key: str) -> list[str] | None:
    """The names that a config group has; None for what is no group, as an experiment's folder."""
    for folder in (ROOT / "configs" / experiment / key, ROOT / "configs" / key):
        if folder.is_dir() and key not in stems():
            return sorted(path.stem for path in folder.glob("*.yaml") if path.is_file())
    return None


def _there_are(options: Sequence[str]) -> str:
    return f"there are {', '.join(options)}"


def kind_of(experiment: str, key: str) -> Any:
    """The type of a key of an experiment's config; None for a key that is not in it."""
    kind: Any = find(experiment).config
    for name in key.lstrip("+~").split("."):
        if not is_dataclass(kind):
            return None
        kind = get_type_hints(kind).get(name)
    return kind
