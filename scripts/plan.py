"""What a scale of Section 4.2 takes on this machine, before anything is downloaded or trained.

    make plan SCALE=paper
    make plan SCALE=gpu ARGS="variant=bn_x5 processes=8"

For each arm: steps of 32 examples, epochs, floating-point operations (counted by torch, a
multiplication and its addition as two) and hours at the speed that the arm's own network and loop
reach here and now, on made-up images of the right size. Reading JPEG files is not in it, nor are
evaluation and probes; N processes are taken to be N times as fast.
"""

import sys
import time
from dataclasses import asdict, replace

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bnrepro.cli import Parser, guard
from bnrepro.config.compose import valid_arms
from bnrepro.config.identity import digest
from bnrepro.config.images import ImageConfig
from bnrepro.data import Dataset, shape
from bnrepro.models.inception import Inception
from bnrepro.plots.tables import show
from bnrepro.run.device import set_up_torch
from bnrepro.run.provenance import hardware
from bnrepro.training.acceleration import enough_memory
from bnrepro.training.images import STEP, ImageTrainer, network_spec, total_steps

SECONDS, LEAST = 5.0, 2  # measure for that long, and that many rounds at least
ROUND = {"cuda": 50}  # updates a round; elsewhere one: a GPU runs behind, and records its graph
HEADER = ["arm", "steps", "epochs", "GFLOP a step", "PFLOP", "images/s", "hours"]


def main() -> None:
    """Count and measure the arms, and print a line for each."""
    parser = Parser(prog="python -m scripts.plan", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="settings of experiments.inception")
    first, *_ = cfgs = valid_arms("inception", parser.parse_args().overrides)
    device = set_up_torch(first)
    rows = [row(cfg, speed) for cfg, speed in zip(cfgs, measured(cfgs, device), strict=True)]
    show([HEADER, *rows], f"inception, scale {first.scale}, data {first.data.name}")
    print(conditions(first, device))


def row(cfg: ImageConfig, speed: float) -> list[str]:
    """One arm's line; `speed` is one process's images a second."""
    steps, each = total_steps(cfg), flops(cfg)
    examples = steps * STEP
    return [
        cfg.variant,
        f"{steps:,}",
        f"{examples / shape(cfg.data.name).train:.1f}",
        f"{each / 1e9:.4g}",
        f"{each * steps / 1e15:.4g}",
        f"{speed:.4g}",
        f"{examples / speed / cfg.processes / 3600:.3g}",
    ]


def shape_seen(cfg: ImageConfig) -> tuple[int, int, int]:
    """Classes, channels and pixels of a side, as the network sees them."""
    known = shape(cfg.data.name)
    return known.classes, known.channels, cfg.data.size or known.side


def conditions(cfg: ImageConfig, device: torch.device) -> str:
    """The line on the hardware."""
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    processes = f"; hours of {cfg.processes} processes like it" if cfg.processes > 1 else ""
    return f"measured on {hardware(device)}{threads}, torch {torch.__version__}{processes}"


def flops(cfg: ImageConfig) -> int:
    """Operations of a step of 32 examples, forward and backward; nothing is computed for it."""
    classes, channels, side = shape_seen(cfg)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = Inception(network_spec(cfg, classes, channels, side))
        logits = network(torch.empty(STEP, channels, side, side))
        labels = torch.empty(STEP, dtype=torch.int64)
        nn.functional.cross_entropy(logits, labels).backward()
    return counter.get_total_flops()


def measured(cfgs: list[ImageConfig], device: torch.device) -> list[float]:
    """Images a second of each arm; arms with the same network and loop are measured once."""
    speeds: dict[str, float] = {}
    for cfg in cfgs:
        if (key := kind(cfg)) not in speeds:
            print(f"measuring {cfg.variant} …", file=sys.stderr, flush=True)
            with enough_memory(cfg):
                speeds[key] = images_per_second(cfg, device)
    return [speeds[kind(cfg)] for cfg in cfgs]


def kind(cfg: ImageConfig) -> str:
    """Arms whose updates take equally long: rates, budgets and shuffling do not matter."""
    return digest([asdict(cfg.model), cfg.pictures.photometric > 0])


def images_per_second(cfg: ImageConfig, device: torch.device) -> float:
    """Training images a second of an arm here, on made-up images."""
    trainer = ImageTrainer(replace(cfg, processes=1), 0, made_up(cfg, 2 * cfg.optim.batch), device)
    each = ROUND.get(device.type, 1)
    next(trainer.run([each]))  # the first round prepares memory and kernels
    start, rounds = time.perf_counter(), 0
    while rounds < LEAST or time.perf_counter() - start < SECONDS:
        next(trainer.run([trainer.step + each]))
        rounds += 1
    return rounds * each * cfg.optim.batch / (time.perf_counter() - start)


def made_up(cfg: ImageConfig, count: int) -> Dataset:
    """So many images of noise, of the data set's size and number of classes."""
    classes, channels, side = shape_seen(cfg)
    images = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8)
    labels = torch.arange(count) % classes
    return Dataset(cfg.data.name, "made up", images, labels, images, labels, classes)


if __name__ == "__main__":
    guard(main)
