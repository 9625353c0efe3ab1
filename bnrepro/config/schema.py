"""Typed configuration: dataclasses give names, types and units; YAML gives the values.

A command line such as `python -m experiments.mnist variant=bn optim.lr=0.5 seeds=3` is composed by
Hydra from `configs/<experiment>.yaml`, the experiment's `variant/` and `scale/` deltas and the
overrides, and checked against the dataclasses below. An unknown key or a wrong type is an error.
"""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, OmegaConf

from bnrepro.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent
HYDRA_VERSION = "1.3"


@dataclass
class DataConfig:
    name: str = MISSING
    root: str | None = None  # a folder that holds the files; null: cache, download, registries
    cache: str = "data"
    validation: int = 0  # images held out of the training set and tested on, for tuning
    # of image folders alone
    label: str | None = None  # what records call the set; null: its name
    size: int | None = None  # pixels of the square images that the network sees
    stream: bool = False  # read from the files during training instead of held in memory
    workers: int | None = None  # processes that read; null: one a core, 16 at most; 0: none
    max_broken: float = 0.001  # share of the images that may break before the run stops


@dataclass
class ModelConfig:
    hidden: list[int] = MISSING
    activation: str = MISSING  # sigmoid | relu
    norm: str = MISSING  # none | batch
    init: str = MISSING  # normal | glorot
    init_std: float = MISSING  # of the Gaussian; unused by glorot
    eps: float = MISSING  # inside the root of Algorithm 1, line 3
    bn_momentum: float = MISSING  # weight of the new mini-batch in the moving averages


@dataclass
class OptimConfig:
    lr: float = MISSING
    momentum: float = MISSING
    batch: int = MISSING  # examples a step


@dataclass
class DurationConfig:
    """How long to train, in exactly one unit."""

    steps: int | None = None
    examples: int | None = None
    epochs: float | None = None

    def in_steps(self, batch: int, train_size: int) -> int:
        if self.steps is not None:
            return self.steps
        if self.examples is not None:
            steps = self.examples // batch
        else:
            steps = round(cast(float, self.epochs) * (train_size // batch))
        if steps < 1:
            raise UserError(f"duration: shorter than one step of {batch} examples")
        return steps


@dataclass
class EvalConfig:
    grid: list[list[int]] = MISSING  # accuracy: [until, every] in steps, the same for every arm
    probe_grid: list[list[int]] = MISSING  # activation inputs; steps of `grid` only
    probe_examples: int = MISSING  # training images on which activation inputs are measured


def steps_of_grid(grid: Sequence[Sequence[int]], last: int) -> list[int]:
    """Steps of a grid of [until, every] pairs up to `last`, which is always among them.

    Beyond the grid's end its last spacing goes on: [[100, 50]] and 180 give 50, 100, 150, 180.
    """
    steps: set[int] = set()
    start = 0
    for i, (until, every) in enumerate(grid):
        end = last if i == len(grid) - 1 else min(until, last)
        steps.update(range(start + every, end + 1, every))
        start = min(until, last)
    return sorted(steps | {last})


@dataclass
class WandbConfig:
    mode: str = "auto"  # auto | online | offline | disabled
    project: str = "bnrepro"
    entity: str | None = None
    dir: str = "."


@dataclass
class RunConfig:
    """What every experiment has."""

    experiment: str = MISSING
    variant: str = MISSING
    scale: str = MISSING
    seeds: Any = MISSING  # a count (5: seeds 0 to 4) or a list ([3, 4])
    device: str = "auto"
    threads: int | None = None  # null: torch's own choice
    results: str = "results/runs"
    force: bool = False  # run again what is finished
    data: DataConfig = field(default_factory=DataConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)


@dataclass
class MnistConfig(RunConfig):
    """Section 4.1: a multilayer perceptron on binary digits."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    duration: DurationConfig = field(default_factory=DurationConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    checkpoint_every: int = MISSING  # steps


@dataclass
class GridConfig:
    lr: list[float] = MISSING
    std: list[float] = MISSING  # empty: one cell a rate (glorot has no free scale)
    lr_factor: float = MISSING  # a grid extended at its edge grows by these factors
    std_factor: float = MISSING
    max_extensions: int = MISSING
    finalists: int = MISSING  # best cells, run again at full length
    full: DurationConfig = field(default_factory=DurationConfig)  # of the finalists


@dataclass
class MnistGridConfig(MnistConfig):
    """The search for rate and initial standard deviation that Section 4.1 leaves open."""

    grid: GridConfig = field(default_factory=GridConfig)


SCHEMAS: dict[str, type[RunConfig]] = {"mnist": MnistConfig, "mnist_grid": MnistGridConfig}


@functools.cache
def register() -> None:
    """Tell Hydra the schemas, once a process and before anything is composed."""
    from bnrepro.config.images import INCEPTIONS  # both build on the classes above
    from bnrepro.config.mechanisms import MECHANISMS

    store = ConfigStore.instance()
    for name, schema in {**SCHEMAS, **INCEPTIONS, **MECHANISMS}.items():
        store.store(name=f"{name}_schema", node=schema)
    # a launcher's workers get the parent's resolvers before they come here
    OmegaConf.register_new_resolver(
        "configs", lambda name: str(ROOT / "configs" / name), replace=True
    )


def compose(experiment: str, overrides: list[str]) -> Any:
    """The config of an experiment as an object, outside or inside a Hydra application."""
    with _initialised():
        node = hydra.compose(config_name=experiment, overrides=overrides)
    return OmegaConf.to_object(node)


def _initialised() -> Any:
    register()
    if GlobalHydra.instance().is_initialized():
        return contextlib.nullcontext()
    return hydra.initialize_config_dir(str(ROOT / "configs"), version_base=HYDRA_VERSION)


def variants(experiment: str) -> list[str]:
    """The named arms of an experiment, in the order of their files' names; one for a sweep."""
    files = (ROOT / "configs" / experiment / "variant").glob("*.yaml")
    return sorted(path.stem for path in files) or ["sweep"]
