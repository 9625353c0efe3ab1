"""Which config a run belongs to: its hash, and the folder that follows from it."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from bnrepro.config.compose import compose
from bnrepro.config.rules import rule_of
from bnrepro.config.schema import RunConfig, seed_list
from bnrepro.experiment import find, stems
from bnrepro.files import expand


def numbers(cfg: Any) -> dict[str, Any]:
    """The values of a config that change a run's numbers and differ from the schema's defaults."""
    return _kept(cfg, frozenset(cfg.unused()))


def _kept(node: Any, unused: frozenset[str], prefix: str = "") -> dict[str, Any]:
    kept = {}
    for field in dataclasses.fields(node):
        key, value = prefix + field.name, getattr(node, field.name)
        if rule_of(field).neutral or key in unused:
            continue
        if dataclasses.is_dataclass(value):
            value = _kept(value, unused, f"{key}.")
            if value:
                kept[field.name] = value
        elif value != default_of(field):
            kept[field.name] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    """A value as JSON takes it: of config objects in a list, what differs from their defaults."""
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return _kept(value, frozenset()) if dataclasses.is_dataclass(value) else value


def default_of(field: dataclasses.Field[Any]) -> Any:
    """A field's default value."""
    made = field.default_factory is not dataclasses.MISSING
    return field.default_factory() if made else field.default  # type: ignore[operator]


def settings(config: Mapping[str, Any], experiment: str) -> dict[str, Any]:
    """A record's settings, nested keys joined by dots, that do not leave its numbers as they are.

    Where there is no such experiment, the keys that all experiments have are known alone.
    """
    return _settings(config, find(experiment).config if experiment in stems() else RunConfig)


def _settings(config: Mapping[str, Any], kind: Any, prefix: str = "") -> dict[str, Any]:
    known = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    neutral = {field.name for field in known if rule_of(field).neutral}
    kinds = get_type_hints(kind) if known else {}
    result: dict[str, Any] = {}
    for key, value in config.items():
        if key in neutral:
            continue
        if isinstance(value, Mapping):
            result |= _settings(value, kinds.get(key), f"{prefix}{key}.")
        else:
            result[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return result


def digest(content: object, length: int = 12) -> str:
    """The first hexadecimal digits of the content's SHA-256."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def config_hash(cfg: Any, data_checksum: str) -> str:
    """Identity of what changes a run's numbers, the data's content included."""
    return digest({"config": numbers(cfg), "data": data_checksum})


def folder_name(cfg: Any, data_name: str) -> str:
    """The variant's name; a short hash follows when the config is not the named one's."""
    named = compose(cfg.experiment, [f"scale={cfg.scale}", f"variant={cfg.variant}"])
    name = cfg.variant
    if _content(cfg) != _content(named):
        name += f"-{digest(_content(cfg), 6)}"
    return name if data_name == cfg.data.name else f"{name}-{data_name}"


def _content(cfg: Any) -> dict[str, Any]:
    """What a record's folder holds: the numbers, and the seeds where all share one record."""
    return numbers(cfg) | ({"seeds": seed_list(cfg.seeds)} if cfg.ONE_RECORD else {})


def group_folder(cfg: Any, data_name: str) -> Path:
    """Where the runs of one job are: results/runs/<experiment>/<scale>/<variant>."""
    return expand(cfg.results) / cfg.experiment / cfg.scale / folder_name(cfg, data_name)
