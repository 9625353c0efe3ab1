"""From a command line to a config object: Hydra composes, the schema gives types and rules.

A config is `configs/<experiment>.yaml`, one file of its `variant/` and one of its `scale/` folder,
and the overrides.
"""

import contextlib
import copy
import functools
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from bnrepro import ROOT
from bnrepro.config.overrides import check_overrides
from bnrepro.config.rules import twice, validate_fields
from bnrepro.config.schema import seed_list
from bnrepro.errors import UserError
from bnrepro.experiment import find, stems
from bnrepro.files import expand

HYDRA_VERSION = "1.3"
ROOM = 65_536  # bytes that Hydra may need
# Values that can be filled into a composed config: they choose no file.
PLAIN = {
    "results": r"/[\w./-]+",
    "seeds": r"[1-9]\d?",
    "threads": r"[1-9]\d?",
    "wandb.mode": "disabled|offline|online",
}


def register(experiment: str) -> None:
    """Give Hydra the schema of an experiment; of no other, for it often copies all that it has."""
    store = ConfigStore.instance()
    schemas = {f"{stem}_schema.yaml" for stem in stems()}
    if schemas & store.repo.keys() == {f"{experiment}_schema.yaml"}:
        return
    if not GlobalHydra.instance().is_initialized():  # the next job of a sweep needs its own
        for name in schemas:
            store.repo.pop(name, None)
    store.store(name=f"{experiment}_schema", node=find(experiment).config)
    # the worker processes of a launcher have inherited the resolvers already
    OmegaConf.register_new_resolver(
        "configs", lambda name: str(ROOT / "configs" / name), replace=True
    )
    OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True)


def sweep_folder(results: str) -> str:
    """Where Hydra leaves `multirun.yaml`, and a launcher its logs: beside the runs.

    On a disk that is full or read-only it is a temporary folder: finished runs need no room.
    """
    folder = expand(results) / "multirun"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(ROOM))
            probe.flush()
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"bnrepro-multirun-{os.getuid()}"
    return str(folder)


def compose(experiment: str, overrides: Sequence[str] = ()) -> Any:
    """The config of an experiment as an object, outside or inside a Hydra application.

    Overrides of Hydra's own settings are left out: they say how runs are started. Plain values are
    filled in after Hydra and before interpolation, so that configs that differ in nothing else are
    composed once.
    """
    checked = check_overrides(experiment, overrides)
    words = [text for text in checked if not text.startswith(("hydra.", "hydra/"))]
    plain = plain_values(words)
    others = tuple(text for text in words if text.partition("=")[0] not in plain)
    node = copy.deepcopy(_composed(experiment, others, _written()))
    for key, value in plain.items():
        OmegaConf.update(node, key, value)
    cfg = as_object(experiment, node)
    check_effect(cfg, words)
    return cfg


def as_object(experiment: str, node: DictConfig) -> Any:
    """A composed config as an object. Raises a UserError for one without its schema."""
    cfg = OmegaConf.to_object(node)
    if not is_dataclass(cfg):
        raise UserError(f"configs/{experiment}.yaml: its defaults must name {experiment}_schema")
    return cfg


def check_effect(cfg: Any, overrides: Sequence[str]) -> None:
    """Raise a UserError for an override of a key that something else decides."""
    decided = cfg.decided()
    for key in (text.partition("=")[0].lstrip("+~") for text in overrides):
        if key in decided:
            raise UserError(f"{key}: has no effect here; {decided[key]} decides it")


def plain_values(overrides: Sequence[str]) -> dict[str, str | int]:
    """The values of overrides whose key is in PLAIN, where no other override is about its part."""
    pairs = [text.partition("=")[::2] for text in overrides]
    parts = [key.lstrip("+~").split(".")[0] for key, _ in pairs]
    return {
        key: int(value) if value.isdigit() else value
        for (key, value), part in zip(pairs, parts, strict=True)
        if parts.count(part) == 1 and key in PLAIN and re.fullmatch(PLAIN[key], value)
    }


@functools.lru_cache(maxsize=256)
def _composed(experiment: str, overrides: tuple[str, ...], _: tuple[Any, ...]) -> Any:
    """A config by Hydra, which takes a tenth of a second."""
    register(experiment)
    inside = GlobalHydra.instance().is_initialized()
    configs = str(ROOT / "configs")
    with (
        contextlib.nullcontext()
        if inside
        else hydra.initialize_config_dir(configs, version_base=HYDRA_VERSION)
    ):
        node = hydra.compose(config_name=experiment, overrides=list(overrides))
    return node


def _written() -> tuple[Any, ...]:
    """What tells one state of the folder of configs from another: times and sizes of its files."""
    found = []
    for folder, _, names in os.walk(ROOT / "configs"):
        for name in names:
            status = os.stat(os.path.join(folder, name))
            found.append((folder, name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def variants(experiment: str) -> list[str]:
    """The named arms of an experiment, in the order of their files' names; one for a sweep."""
    files = (ROOT / "configs" / experiment / "variant").glob("*.yaml")
    return sorted(path.stem for path in files) or ["sweep"]


def arms_at(experiment: str, overrides: Sequence[str] = ()) -> list[str]:
    """The arms that these overrides' scale has: all but those that it is `without`."""
    without = compose(experiment, overrides).without
    return [variant for variant in variants(experiment) if variant not in without]


def split_arms(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arms that `variant=a,b` names, each once, and the other overrides."""
    asked = [arm for o in overrides if o.startswith("variant=") for arm in o[8:].split(",")]
    if (double := twice(asked)) is not None:
        raise UserError(f"variant={','.join(asked)}: names {double} twice")
    return asked, [o for o in overrides if not o.startswith("variant=")]


def valid_arms(experiment: str, overrides: Sequence[str]) -> list[Any]:
    """The configs of the arms that `variant=…` names, or of all at the scale, each validated."""
    asked, others = split_arms(overrides)
    names = asked or arms_at(experiment, others)
    cfgs = [compose(experiment, [*others, f"variant={name}"]) for name in names]
    for cfg in cfgs:
        validate(cfg)
    return cfgs


def validate(cfg: Any) -> None:
    """Raise a UserError that names the first key whose value makes no sense."""
    validate_fields(cfg)
    seed_list(cfg.seeds)
    allowed = variants(cfg.experiment)
    for key, names in {"variant": [cfg.variant], "without": cfg.without}.items():
        if unknown := [name for name in names if name not in allowed]:
            raise UserError(f"{key}={unknown[0]}: allowed are {', '.join(allowed)}")
