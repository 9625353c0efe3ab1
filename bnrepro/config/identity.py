"""Which config a run belongs to: its hash, and the folder that follows from it."""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from bnrepro.config import compose
from bnrepro.config.validation import seed_list

# What leaves a run's numbers as they are, and so stays out of its identity.
NEUTRAL = ("experiment", "variant", "scale", "seeds", "device", "threads", "results", "force")
FOLDER_PER_SEED = ("mnist", "inception")  # the others keep all seeds in one record, a sweep
NEUTRAL_NESTED = {
    "data": ("root", "cache", "label", "workers", "max_broken"),
    "wandb": None,
    "checkpoint_every": None,
    "compile": None,
    "cuda_graphs": None,
    "grid": ("jobs",),
}
# Keys younger than the first runs: one that holds the value which those runs had is left out, so
# that they keep their hash.
YOUNGER = {"data.size": None, "data.stream": False}
_INCEPTION = {
    "model.eps": 1e-5,
    "model.bn_momentum": 0.1,
    "processes": 1,
    "sync_bn": False,
    "precision": "float32",
}
YOUNGER_OF = {"inception": _INCEPTION, "inception_grid": _INCEPTION}


def numbers(cfg: Any) -> dict[str, Any]:
    """The part of a config that changes a run's numbers, as plain data."""
    plain = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(cfg)))
    kept = {k: v for k, v in plain.items() if k not in NEUTRAL}
    for key, inner in NEUTRAL_NESTED.items():
        if inner is None:
            kept.pop(key, None)
        elif key in kept:
            kept[key] = {k: v for k, v in kept[key].items() if k not in inner}
    for key, usual in (YOUNGER | YOUNGER_OF.get(cfg.experiment, {})).items():
        *path, name = key.split(".")
        node = functools.reduce(lambda inner, part: inner[part], path, kept)
        if node[name] == usual:
            del node[name]
    if kept.get("optim", {}).get("decay") == "plain":
        kept["budget"]["fast"] = 1.0  # a plain decay has no other speed
    return kept


def digest(content: object, length: int = 12) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def config_hash(cfg: Any, data_checksum: str) -> str:
    """Identity of what changes a run's numbers, the data's content included."""
    return digest({"config": numbers(cfg), "data": data_checksum})


def folder_name(cfg: Any, data_name: str) -> str:
    """The variant's name; a short hash follows when the config is not the named one's."""
    named = compose(cfg.experiment, [f"variant={cfg.variant}", f"scale={cfg.scale}"])
    name = cfg.variant
    if _content(cfg) != _content(named):
        name += f"-{digest(_content(cfg), 6)}"
    return name if data_name == cfg.data.name else f"{name}-{data_name}"


def _content(cfg: Any) -> dict[str, Any]:
    """What a record's folder stands for: the numbers, and of a sweep which seeds it holds."""
    seeds = {} if cfg.experiment in FOLDER_PER_SEED else {"seeds": seed_list(cfg.seeds)}
    return numbers(cfg) | seeds


def group_folder(cfg: Any, data_name: str) -> Path:
    """Where the runs of one job live: results/runs/<experiment>/<scale>/<variant>."""
    return Path(cfg.results) / cfg.experiment / cfg.scale / folder_name(cfg, data_name)
