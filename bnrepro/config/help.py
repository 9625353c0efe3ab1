"""The page that `python -m experiments.<stem> --help` prints, from the files that users edit.

What a file of a config group is for is its first comment; what a key means is the comment beside
its field in the schema.
"""

import argparse
import dataclasses
import functools
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from bnrepro import ROOT
from bnrepro.config.compose import compose
from bnrepro.config.overrides import options_of
from bnrepro.config.rules import rule_of, shown
from bnrepro.files import read_text, reading

GROUPS = {
    "variant": "arms, one a run",
    "scale": "scales",
    "data": "data sets",
    "launcher": "launchers, with -m: runs side by side or on a cluster",
}
OPTIONS = {
    "-m": "a run for each value of key=a,b",
    "--cfg job": "print the config, run nothing",
    "--hydra-help": "the other options, which are Hydra's",
}
COLUMNS = functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=34)


def help_page(stem: str, overrides: Sequence[str] = ()) -> str:
    """What the experiment is, its options and settings, with the values that the overrides give.

    Each setting stands as it is typed, but for a long value, whose middle is left out.
    """
    cfg = compose(stem, overrides)
    page = argparse.ArgumentParser(
        usage=f"python -m experiments.{stem} [option …] [key=value …]",
        description=importlib.import_module(f"experiments.{stem}").__doc__,
        formatter_class=COLUMNS,
        add_help=False,
    )
    for group, title in GROUPS.items():
        names = options_of(stem, group) or []
        _section(page, title, {f"{group}={name}": _purpose(stem, group, name) for name in names})
    decided = cfg.decided()
    settings = {k: m for k, m in _settings(cfg) if k.partition("=")[0] not in decided}
    _section(page, "settings with their values here; whole with --cfg job", settings)
    _section(page, "options", OPTIONS)
    return page.format_help()


def _section(page: argparse.ArgumentParser, title: str, lines: dict[str, str]) -> None:
    section = page.add_argument_group(title)
    for word, text in lines.items():
        section.add_argument("line", metavar=word, help=text.replace("%", "%%"))


def _purpose(stem: str, group: str, name: str) -> str:
    """The first sentence of the comment with which a config file begins, or of its first line."""
    paths = (ROOT / "configs" / folder / group / f"{name}.yaml" for folder in (stem, ""))
    path = next(filter(Path.exists, paths))
    with reading(path):
        text = read_text(path).removeprefix("# @package _global_\n")
    match = re.match(r"[^#\n]*#(.*(?:\n#.*)*)", text)
    comment = " ".join(line.strip("# ") for line in match[1].splitlines()) if match else ""
    return re.split(r"(?<=[\w)]{2}\.)\s", comment.strip())[0]


def _settings(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key with its value, as an override has them, and what it means."""
    meanings = _meanings(type(node))
    for field in dataclasses.fields(node):
        value, choices = getattr(node, field.name), rule_of(field).choices
        if dataclasses.is_dataclass(value):
            yield from _settings(value, f"{prefix}{field.name}.")
        else:
            parts = (" or ".join(choices), meanings.get(field.name))
            yield f"{prefix}{field.name}={shown(_typed(value))}", "; ".join(filter(None, parts))


def _typed(value: Any) -> str:
    """A value in the grammar of overrides."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_typed(part)}' for key, part in value.items())}}}"
    if dataclasses.is_dataclass(value):
        return _typed(vars(value))
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[\w./-]+", value)
    return value if plain else str(QuotedString(value, Quote.double).with_quotes())


def _meanings(kind: type) -> dict[str, str]:
    """The comments beside or above the fields of a config's class, and of those it extends."""
    found: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if dataclasses.is_dataclass(base)]):
        above: list[str] = []
        for line in inspect.getsource(base).splitlines():
            if match := re.match(r"    (\w+): .*?(?:  # (.*))?$", line):
                found[match[1]] = match[2] or " ".join(above)
            above = [*above, line.strip("# ")] if line.startswith("    # ") else []
    return found
