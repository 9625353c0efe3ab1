"""From a command line to a config object: Hydra composes, the schema gives types and rules.

A config is `configs/<experiment>.yaml`, one file of its `variant/` and one of its `scale/` folder,
and the overrides.
"""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from bnrepro import ROOT
from bnrepro.config.rules import validate_fields
from bnrepro.config.schema import seed_list
from bnrepro.errors import UserError
from bnrepro.experiment import discover

HYDRA_VERSION = "1.3"


@functools.cache
def register() -> None:
    """Give Hydra the schema of every experiment, once a process."""
    store = ConfigStore.instance()
    for stem, experiment in discover().items():
        store.store(name=f"{stem}_schema", node=experiment.config)
    # the worker processes of a launcher have inherited the resolver already
    OmegaConf.register_new_resolver(
        "configs", lambda name: str(ROOT / "configs" / name), replace=True
    )


def compose(experiment: str, overrides: Sequence[str] = ()) -> Any:
    """The config of an experiment as an object, outside or inside a Hydra application."""
    register()
    inside = GlobalHydra.instance().is_initialized()
    configs = str(ROOT / "configs")
    with (
        contextlib.nullcontext()
        if inside
        else hydra.initialize_config_dir(configs, version_base=HYDRA_VERSION)
    ):
        node = hydra.compose(config_name=experiment, overrides=list(overrides))
    return OmegaConf.to_object(node)


def variants(experiment: str) -> list[str]:
    """The named arms of an experiment, in the order of their files' names; one for a sweep."""
    files = (ROOT / "configs" / experiment / "variant").glob("*.yaml")
    return sorted(path.stem for path in files) or ["sweep"]


def validate(cfg: Any) -> None:
    """Raise a UserError that names the first key whose value makes no sense."""
    validate_fields(cfg)
    seed_list(cfg.seeds)
    if cfg.variant not in (allowed := variants(cfg.experiment)):
        raise UserError(f"variant={cfg.variant}: allowed are {', '.join(allowed)}")
