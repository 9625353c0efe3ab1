"""The arms of an experiment under the same overrides: their configs, data set and runs' folders."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnrepro.config.compose import arms_at, compose, split_arms, validate
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

    Raises:
        UserError: a mistake in the overrides, or the data set cannot be had.
    """
    asked, others = split_arms(overrides)
    names = asked or arms_at(experiment, others)
    cfgs = [compose(experiment, [*others, f"variant={v}"]) for v in names]
    for cfg in cfgs:
        validate(cfg)
    data = open_images(cfgs[0].data)
    named = named_arms(experiment, cfgs[0]) if asked else []
    folders = [group_folder(cfg, data.name) for cfg in cfgs]
    everything = {cfg.variant: (cfg, group_folder(cfg, data.name)) for cfg in named}
    as_named = {folder: variant for variant, (_, folder) in everything.items()}
    labels = [
        as_named.get(folder, folder.name) if asked else cfg.variant
        for cfg, folder in zip(cfgs, folders, strict=True)
    ]
    everything |= dict(zip(labels, zip(cfgs, folders, strict=True), strict=True))
    return Arms(
        labels,
        {name: cfg for name, (cfg, _) in everything.items()},
        {name: folder for name, (_, folder) in everything.items()},
        data,
        cfgs[0].scale,
        seed_list(cfgs[0].seeds),
    )


def named_arms(experiment: str, like: Any) -> Iterator[Any]:
    """The named arms at the scale and in the results folder of a config."""
    for variant in arms_at(experiment, [f"scale={like.scale}"]):
        cfg = compose(experiment, [f"scale={like.scale}", f"variant={variant}"])
        yield dataclasses.replace(cfg, results=like.results)
