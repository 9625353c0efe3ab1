"""What a config must satisfy beyond its types; each failure names the key and what is allowed."""

import functools
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from bnrepro.config import DurationConfig, variants
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
NOT_NEGATIVE = (  # all other numbers must be greater than 0
    "model.eps",
    "data.validation",
    "data.workers",
    "grid.max_extensions",
    "optim.weight_decay",
    "pictures.shift",
    "pictures.photometric",
    "exact_eps",
    "ridges",
    "eps",
    "tuning_seed",
)
UNIT_INTERVAL = (
    "optim.momentum",
    "model.bn_momentum",
    "model.dropout",
    "budget.end_share",
    "grid.short",
    "data.max_broken",
    "bn_momentum",
)
MAY_BE_EMPTY = ("grid.std", "eval.probe_grid")  # all other lists name at least one
START = ("jacobian", "placement")  # whose `stops` may begin with 0
AT_LEAST_TWO = ("batch", "batches", "large_batch", "small_batch", "enumerated_batches")  # m > 1
ALIGNED = {  # lists with a value for each value of another
    "jacobian": ("lr", "activations"),
    "whitening": ("cost_repeats", "cost_widths"),
}


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
    for key, value in _leaves(cfg):
        _validate_numbers(key, value, start=cfg.experiment in START)
    for key in ("duration", "grid.full"):
        _validate_duration(key, _get(cfg, key))
    _validate_together(cfg)
    for key in ("eval.grid", "eval.probe_grid"):
        _validate_grid(key, _get(cfg, key))


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that holds a number or a list, `seeds` and grids of pairs apart."""
    for name, value in vars(node).items():
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{name}.")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        pairs = isinstance(value, list) and any(isinstance(v, list) for v in value)
        if prefix + name != "seeds" and (number or (isinstance(value, list) and not pairs)):
            yield prefix + name, value


def _validate_numbers(key: str, value: Any, start: bool) -> None:
    """`start`: whether the network as initialised, step 0, may be measured."""
    each, word = (value, "each ") if isinstance(value, list) else ([value], "")
    if not each and key not in MAY_BE_EMPTY:
        raise UserError(f"{key}=[]: name at least one")
    for number in (n for n in each if isinstance(n, int | float)):
        if not math.isfinite(number):
            raise UserError(f"{key}={value}: {word}must be a finite number")
        if key in UNIT_INTERVAL and not 0 <= number <= 1:
            raise UserError(f"{key}={value}: {word}must lie between 0 and 1")
        if key in NOT_NEGATIVE and number < 0:
            raise UserError(f"{key}={value}: {word}must not be negative")
        if key == "stops" and number == 0 and start:
            continue
        if key not in (*NOT_NEGATIVE, *UNIT_INTERVAL) and not number > 0:
            raise UserError(f"{key}={value}: {word}must be greater than 0")
        if key in AT_LEAST_TWO and number < 2:
            raise UserError(f"{key}={value}: a mini-batch of one has no variance; at least 2")


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


def _validate_together(cfg: Any) -> None:
    """What values must have in common."""
    if cfg.variant not in variants(cfg.experiment):
        raise UserError(f"variant={cfg.variant}: allowed are {', '.join(variants(cfg.experiment))}")
    if _get(cfg, "model.norm") == "batch" and _get(cfg, "optim.batch") == 1:
        raise UserError(
            "optim.batch=1 with model.norm=batch: a mini-batch of one has no variance; "
            "use at least 2 examples"
        )
    if (stops := _get(cfg, "stops")) is not None and stops != sorted(set(stops)):
        raise UserError(f"stops={stops}: must rise")
    one, other = ALIGNED.get(cfg.experiment, ("seeds", "seeds"))
    if one != other and len(_get(cfg, one)) != len(_get(cfg, other)):
        raise UserError(f"{one}={_get(cfg, one)}: give as many as {other}={_get(cfg, other)}")
    if _get(cfg, "shape_lr") is not None and cfg.shape_lr not in cfg.lr:
        raise UserError(f"shape_lr={cfg.shape_lr}: must be one of lr={cfg.lr}")
    if _get(cfg, "optim.decay") == "fast" and cfg.budget.steps < cfg.budget.fast:
        raise UserError(
            f"budget.steps={cfg.budget.steps}: must be at least budget.fast={cfg.budget.fast:g}"
        )
    if "/" in (cfg.data.label or ""):
        raise UserError(f"data.label={cfg.data.label}: it names folders and files: without /")


def _validate_grid(key: str, grid: list[list[int]] | None) -> None:
    if grid is None:
        return
    untils = [pair[0] for pair in grid if len(pair) == 2]
    if len(untils) < len(grid) or untils != sorted(set(untils)) or any(p[1] < 1 for p in grid):
        raise UserError(
            f"{key}={grid}: give pairs [until, every] in steps with rising 'until' and "
            "'every' of at least 1"
        )
