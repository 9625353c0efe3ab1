"""All arms of an experiment under the same overrides: their configs, data set and runs' folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bnrepro.config import compose, variants
from bnrepro.config.identity import group_folder
from bnrepro.config.validation import seed_list, validate
from bnrepro.data import ImageSet, open_images


class Arms(NamedTuple):
    cfgs: dict[str, Any]  # by variant
    data: ImageSet
    folders: dict[str, Path]
    scale: str
    seeds: list[int]


def arms(experiment: str, overrides: Sequence[str]) -> Arms:
    """Raises a UserError for a mistake in the overrides, or where the data set cannot be had."""
    cfgs = {v: compose(experiment, [*overrides, f"variant={v}"]) for v in variants(experiment)}
    for cfg in cfgs.values():
        validate(cfg)
    first = next(iter(cfgs.values()))
    data = open_images(first.data)
    folders = {v: group_folder(cfg, data.name) for v, cfg in cfgs.items()}
    return Arms(cfgs, data, folders, first.scale, seed_list(first.seeds))
