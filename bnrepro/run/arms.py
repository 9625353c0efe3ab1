"""The arms of an experiment under the same overrides: their configs, data set and runs' folders."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnrepro.config.compose import split_arms, valid_arms
from bnrepro.config.identity import group_folder
from bnrepro.config.schema import seed_list
from bnrepro.data import ImageSet, open_images


@dataclass(frozen=True)
class Arms:
    """Arms by label: a variant's name, or for an overridden variant its folder's name."""

    asked: list[str]  # those that the overrides ask for; the others are there to compare with
    cfgs: dict[str, Any]
    folders: dict[str, Path]
    data: ImageSet
    scale: str
    seeds: list[int]

    @property
    def parent(self) -> Path:
        """The folder of all arms at this scale."""
        return self.folders[self.asked[0]].parent


def compose_arms(experiment: str, overrides: Sequence[str] = ()) -> Arms:
    """The arms that `variant=…` names beside all named ones, or all under the same overrides.

    Raises a UserError for a mistake in the overrides, or a data set that cannot be had.
    """
    first, *more = valid_arms(experiment, overrides)
    data, is_asked = open_images(first.data), bool(split_arms(overrides)[0])
    named = valid_arms(experiment, [f"scale={first.scale}"]) if is_asked else []
    cfgs = {cfg.variant: dataclasses.replace(cfg, results=first.results) for cfg in named}
    folders = {variant: group_folder(cfg, data.name) for variant, cfg in cfgs.items()}
    as_named = {folder: variant for variant, folder in folders.items()}
    labels = []
    for cfg in (first, *more):
        folder = group_folder(cfg, data.name)
        label = as_named.get(folder, folder.name) if is_asked else cfg.variant
        cfgs[label], folders[label] = cfg, folder
        labels.append(label)
    return Arms(labels, cfgs, folders, data, first.scale, seed_list(first.seeds))
