"""The sections that configs share: dataclasses give names, types, units and rules; YAML the values.

A field with a default may be left out of every YAML file; the hash leaves out values that equal
their default, so a new key with a default leaves the hash of earlier runs as it was.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, ClassVar, cast

from omegaconf import MISSING

from bnrepro.config.rules import (
    BATCH,
    UNITS,
    Rule,
    below_one,
    choice,
    fraction,
    mini_batch,
    neutral,
    not_negative,
    setting,
    share,
    shown,
    twice,
)
from bnrepro.errors import UserError

SIDE = 4_096  # pixels
PROCESSES = 256  # and threads, of one machine
SEEDS = 10_000
STOPS = 1_000_000  # of a grid
NUMBERS = 2_000_000_000  # float32, 8 GB: parameters and values of networks that train together
INPUTS = 1_000  # about as many as an image of 28×28 has pixels


@dataclass
class DataConfig:
    """Which data set, and where its files are."""

    name: str = MISSING  # of the data set, as data= names it
    root: str | None = neutral(None)  # a folder with the files; null: cache, download, registries
    cache: str = neutral("data")  # the folder of fetched and decoded images
    validation: int = setting(0, not_negative)  # images held out of training and tested on
    # of image folders alone
    label: str | None = neutral(None)  # what records call the set; null: its name
    size: int | None = setting(None, most=SIDE)  # pixels of the square images that the network sees
    stream: bool = False  # read from the files during training instead of held in memory
    # processes that read; null: one a core
    workers: int | None = neutral(None, not_negative, most=PROCESSES)
    max_broken: float = neutral(0.001, share)  # images that may break before the run stops


@dataclass
class ModelConfig:
    """The multilayer perceptron of Section 4.1."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    activation: str = choice("sigmoid", "relu")
    norm: str = choice("none", "batch")
    init: str = choice("normal", "glorot")
    init_std: float = setting()  # of the Gaussian; unused by glorot
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    bn_momentum: float = setting(check=fraction)  # weight of the new mini-batch in moving averages
    gain: float = setting(1.0)  # multiplies the standard deviation of glorot


@dataclass
class OptimConfig:
    """SGD of Section 4.1."""

    lr: float = setting()  # learning rate
    momentum: float = setting(check=below_one)  # 0: none
    batch: int = setting(most=BATCH)  # examples a step
    replicas: int = setting(1, most=1_000)  # R of asynchronous SGD; 1: synchronous
    warm_start: int = setting(0, not_negative)  # updates of one replica before the others join
    rule: str = choice("sgd", "adagrad", default="sgd")  # Adagrad: Duchi et al. 2011

    def check(self, prefix: str) -> None:
        """Raise a UserError for Adagrad with momentum, which it has not."""
        if self.rule == "adagrad" and self.momentum:
            raise UserError(
                f"{prefix}rule=adagrad with {prefix}momentum={self.momentum:g}: Adagrad has no "
                f"momentum; set {prefix}momentum=0"
            )


@dataclass
class DurationConfig:
    """How long to train, in exactly one unit."""

    steps: int | None = setting(None)  # of `batch` examples
    examples: int | None = setting(None)  # instead of steps; set those to null
    epochs: float | None = setting(None, most=1_000_000)  # instead of steps; set those to null

    def in_steps(self, batch: int, train_size: int) -> int:
        """The duration in steps of `batch` examples. Raises a UserError below one step."""
        if self.steps is not None:
            return self.steps
        if self.examples is not None:
            steps = self.examples // batch
        else:
            steps = round(cast(float, self.epochs) * (train_size // batch))
        if steps < 1:
            raise UserError(f"duration: shorter than one step of {batch} examples")
        return steps

    def check(self, prefix: str) -> None:
        """Raise a UserError unless exactly one unit is set."""
        key = prefix.removesuffix(".")
        given = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        if len(given) != 1:
            listed = ", ".join(f"{key}.{u}={v}" for u, v in given.items()) or "no unit"
            raise UserError(
                f"{key}: exactly one of steps, examples, epochs must be set, found {listed}; "
                "set the others to null"
            )


@dataclass
class EvalConfig:
    """When networks are evaluated and probed."""

    grid: list[list[int]] = setting(grid=True)  # accuracy: [until, every] in steps
    probe_grid: list[list[int]] = setting(grid=True)  # activation inputs; steps of `grid` only
    # training images on which activation inputs are measured
    probe_examples: int = setting(check=mini_batch)

    def check(self, prefix: str) -> None:
        """Raise a UserError for probes at steps that `grid` does not have."""
        last = max(self.grid[-1][0], sum(self.probe_grid[-1]))
        grid = stretches(self.grid, last)
        probed = (s for s in steps_of_grid(self.probe_grid, last) if s != last)
        if extra := [s for s in probed if not any(s in stretch for stretch in grid)]:
            raise UserError(
                f"{prefix}probe_grid={self.probe_grid}: step {extra[0]} is not in "
                f"{prefix}grid={self.grid}; probes are taken where accuracy is measured"
            )


def steps_of_grid(grid: Sequence[Sequence[int]], last: int) -> list[int]:
    """Steps of a grid of [until, every] pairs up to `last`, which is always among them.

    Beyond the grid's end its last spacing goes on: [[100, 50]] and 180 give 50, 100, 150, 180.
    Raises a UserError for more than a million steps.
    """
    return sorted({last}.union(*stretches(grid, last)))


def stretches(grid: Sequence[Sequence[int]], last: int) -> list[range]:
    """The steps of each [until, every] pair of a grid up to `last`. Raises a UserError as above."""
    found: list[range] = []
    start = 0
    for i, (until, every) in enumerate(grid):
        end = last if i == len(grid) - 1 else min(until, last)
        found.append(range(start + every, end + 1, every))
        start = min(until, last)
    if (count := sum(map(len, found))) > STOPS:
        raise UserError(
            f"the grid {shown(grid)}: {count:,} stops in {last:,} steps; at most {STOPS:,}"
        )
    return found


@dataclass
class WandbConfig:
    """The mirror of the run record in Weights & Biases."""

    mode: str = choice("auto", "online", "offline", "disabled", default="auto")
    project: str = "bnrepro"  # in Weights & Biases
    entity: str | None = None  # user or team; null: WANDB_ENTITY, else your account
    dir: str = "."  # runs go to its folder wandb


def device_name(name: str) -> str | None:
    """What is wrong with the name of a device."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name):
        return None
    return "allowed are auto, cpu, cuda, cuda:<number>, mps"


@dataclass
class RunConfig:
    """What every experiment has."""

    ONE_RECORD: ClassVar[bool] = False  # all seeds share one record, whose folder names them

    experiment: str = neutral()  # its name
    variant: str = neutral()  # the arm; `sweep` where all arms make one record
    scale: str = neutral()  # the named sizes of network, data and training
    # arms that `make` leaves out at this scale
    without: list[str] = neutral([], empty=True, distinct=True)
    seeds: Any = neutral(most=2**63 - 1)  # a count (5: seeds 0 to 4) or a list ([3, 4])
    device: str = neutral("auto", device_name)  # auto, cpu, cuda, cuda:<number> or mps
    # of the CPU, for each process; null: torch's choice
    threads: int | None = setting(None, neutral=True, most=PROCESSES)
    results: str = neutral("results/runs")  # the folder of the runs
    force: bool = neutral(False)  # run again what is finished
    data: DataConfig = field(default_factory=DataConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig, metadata={"rule": Rule(neutral=True)})

    def unused(self) -> tuple[str, ...]:
        """Keys that this config does not use, so that they are no part of its identity."""
        return ()

    def decided(self) -> dict[str, str]:
        """Keys that something else decides whatever their value is, and what does."""
        return {"experiment": "the command"}


@dataclass
class SweepConfig(RunConfig):
    """An experiment whose cells and seeds make one record."""

    ONE_RECORD: ClassVar[bool] = True

    jobs: int = setting(1, neutral=True)  # cells measured side by side, each in a process


def seed_list(seeds: object) -> list[int]:
    """`5` means seeds 0 to 4; a list means itself. Seed 0 is a seed like any other.

    Raises a UserError for what is neither a count nor a list of different seeds.
    """
    if type(seeds) is int and 0 < seeds <= SEEDS:
        return list(range(seeds))
    if isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds):
        if (double := twice(seeds)) is not None:
            raise UserError(f"seeds={shown(seeds)}: names {double} twice; name each one once")
        if len(seeds) <= SEEDS:
            return seeds
    raise UserError(
        f"seeds={shown(seeds)}: give a count (seeds=5) of at most {SEEDS:,} or a list of seeds "
        "(seeds=[3,4]), whole numbers from 0 to 2⁶³ − 1"
    )


def check_mini_batch(norm: str, batch: int) -> None:
    """Raise a UserError for BN over a mini-batch of one."""
    if norm == "batch" and batch == 1:
        raise UserError(
            "optim.batch=1 with model.norm=batch: a mini-batch of one has no variance; "
            "use at least 2 examples"
        )


def check_networks(hidden: Sequence[int], batch: int, networks: int, section: str = "") -> None:
    """Raise a UserError for multilayer perceptrons that do not fit into memory together."""
    weights = sum(a * b for a, b in pairwise([INPUTS, *hidden]))
    numbers = networks * (weights + batch * (INPUTS + sum(hidden)))
    check_memory(numbers, {f"{section}hidden": list(hidden), "batch": batch, "networks": networks})


def check_memory(numbers: float, given: Mapping[str, Any]) -> None:
    """Raise a UserError that names what was given, for more numbers than fit into memory."""
    if numbers > NUMBERS:
        named = ", ".join(f"{key}={shown(value)}" for key, value in given.items())
        raise UserError(
            f"{named}: together {numbers:.1e} numbers in memory at once; at most {NUMBERS:.0e}"
        )
