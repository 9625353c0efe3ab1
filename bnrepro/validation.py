"""What a config must satisfy beyond its types; each failure names the key and what is allowed."""

import functools
from dataclasses import fields, is_dataclass
from typing import Any

from bnrepro.config import DurationConfig
from bnrepro.errors import UserError

CHOICES = {
    "model.activation": ("sigmoid", "relu"),
    "model.norm": ("none", "batch"),
    "model.init": ("normal", "glorot"),
    "model.stem": ("imagenet", "tiny", "small"),
    "model.engine": ("torch", "paper"),
    "optim.decay": ("plain", "fast"),
    "precision": ("float32", "bf16"),
    "pictures.shuffle": ("full", "shards", "fixed"),
    "grid.key": ("optim.lr", "budget.fast", "optim.multiplier"),
    "wandb.mode": ("auto", "online", "offline", "disabled"),
}
CHOICES_EACH = {"activations": ("sigmoid", "relu")}  # keys whose value is a list
POSITIVE = (
    "optim.lr",
    "optim.batch",
    "batch",
    "exact_examples",
    "exact_steps",
    "exact_record_every",
    "duration.steps",
    "duration.examples",
    "duration.epochs",
    "grid.full.steps",
    "grid.full.examples",
    "grid.full.epochs",
    "eval.probe_examples",
    "eval.test_examples",
    "budget.steps",
    "budget.fast",
    "optim.multiplier",
    "optim.weight_decay_divisor",
    "model.width",
    "pictures.shards",
    "grid.jobs",
    "grid.short",
    "checkpoint_every",
    "processes",
    "threads",
    "model.init_std",
    "data.size",
)
POSITIVE_EACH = ("model.hidden", "grid.lr", "grid.std", "grid.values")  # keys whose value is a list
NOT_EMPTY = ("model.hidden", "grid.lr", "grid.values")
NOT_NEGATIVE = (
    "model.eps",
    "data.validation",
    "data.workers",
    "grid.max_extensions",
    "grid.finalists",
    "optim.weight_decay",
    "pictures.shift",
    "pictures.photometric",
)
UNIT_INTERVAL = (
    "optim.momentum",
    "model.bn_momentum",
    "model.dropout",
    "budget.end_share",
    "data.max_broken",
)


def seed_list(seeds: object) -> list[int]:
    """`5` means seeds 0 to 4; a list means itself. Seed 0 is a seed like any other."""
    if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 0:
        return list(range(seeds))
    if isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds):
        if len(set(seeds)) < len(seeds):
            raise UserError(f"seeds={seeds}: a seed is named twice; name each one once")
        return seeds
    raise UserError(f"seeds={seeds}: give a count (seeds=5) or a list of seeds (seeds=[3,4])")


def _get(cfg: object, key: str) -> Any:
    return functools.reduce(lambda node, name: getattr(node, name, None), key.split("."), cfg)


def validate(cfg: Any) -> None:
    """Raise a UserError that names the first key whose value makes no sense."""
    _validate_keys(cfg)
    seed_list(cfg.seeds)
    for key, allowed in CHOICES.items():
        if (value := _get(cfg, key)) is not None and value not in allowed:
            raise UserError(f"{key}={value}: allowed are {', '.join(allowed)}")
    for key, allowed in CHOICES_EACH.items():
        for value in _get(cfg, key) or []:
            if value not in allowed:
                raise UserError(f"{key}={value}: allowed are {', '.join(allowed)}")
    for key in POSITIVE:
        if (value := _get(cfg, key)) is not None and not value > 0:
            raise UserError(f"{key}={value}: must be greater than 0")
    for key in NOT_NEGATIVE:
        if (value := _get(cfg, key)) is not None and not value >= 0:
            raise UserError(f"{key}={value}: must not be negative")
    for key in UNIT_INTERVAL:
        if (value := _get(cfg, key)) is not None and not 0 <= value <= 1:
            raise UserError(f"{key}={value}: must lie between 0 and 1")
    for key in ("duration", "grid.full"):
        _validate_duration(key, _get(cfg, key))
    for key in POSITIVE_EACH:
        if any(not value > 0 for value in _get(cfg, key) or []):
            raise UserError(f"{key}={_get(cfg, key)}: each must be greater than 0")
    for key in NOT_EMPTY:
        if _get(cfg, key) == []:
            raise UserError(f"{key}=[]: name at least one")
    _validate_batch(cfg)
    for key in ("eval.grid", "eval.probe_grid"):
        _validate_grid(key, _get(cfg, key))


def _validate_keys(node: Any, prefix: str = "") -> None:
    """Refuse what `+key=value` adds to a config: nothing would read it."""
    allowed = [f.name for f in fields(node)]
    for name, value in vars(node).items():
        if name not in allowed:
            raise UserError(f"{prefix}{name}: no such key; allowed here are {', '.join(allowed)}")
        if is_dataclass(value):
            _validate_keys(value, f"{prefix}{name}.")


def _validate_duration(key: str, duration: DurationConfig | None) -> None:
    if duration is None:
        return
    given = {f.name: getattr(duration, f.name) for f in fields(duration)}
    given = {unit: value for unit, value in given.items() if value is not None}
    if len(given) != 1:
        listed = ", ".join(f"{key}.{u}={v}" for u, v in given.items()) or "no unit"
        raise UserError(
            f"{key}: exactly one of steps, examples, epochs must be set, found {listed}; "
            "set the others to null"
        )


def _validate_batch(cfg: Any) -> None:
    if _get(cfg, "model.norm") == "batch" and _get(cfg, "optim.batch") == 1:
        raise UserError(
            "optim.batch=1 with model.norm=batch: a mini-batch of one has no variance; "
            "use at least 2 examples"
        )


def _validate_grid(key: str, grid: list[list[int]] | None) -> None:
    if grid is None:
        return
    untils = [pair[0] for pair in grid if len(pair) == 2]
    if len(untils) < len(grid) or untils != sorted(set(untils)) or any(p[1] < 1 for p in grid):
        raise UserError(
            f"{key}={grid}: give pairs [until, every] in steps with rising 'until' and "
            "'every' of at least 1"
        )
