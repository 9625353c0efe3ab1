"""Every experiment end to end at scale smoke, one a core: its arms, then its figures and table.

    make smoke [ARGS="overrides"]

Each one measures what its own command measures, in a process that has the imports already, and from
configs that are composed once: its command line composes every arm's three times.
"""

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import forkserver
from typing import NamedTuple

from bnrepro.cli import errors_in_one_line, guard
from bnrepro.config.compose import compose, valid_arms, validate, variants
from bnrepro.config.images import ImageConfig
from bnrepro.experiment import find, stems
from bnrepro.machine import cores

IMPORTS = ["torch._dynamo", "torchvision", "matplotlib.pyplot", "scripts.render"]
OVERRIDES = ["scale=smoke", "threads=1", "wandb.mode=disabled"]


class Outcome(NamedTuple):
    """How an experiment ended, and what it wrote to the terminal."""

    status: int
    seconds: float
    output: str


def main() -> None:
    """Run them all; exit status 1 if one failed, whose output is shown."""
    overrides = [*OVERRIDES, *sys.argv[1:]]
    longest_first = sorted(stems(), key=cost, reverse=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    forkserver.ensure_running()  # imports while the overrides are checked
    for stem in longest_first:
        validate(compose(stem, overrides))
    failed = []
    with ProcessPoolExecutor(cores(), context, max_tasks_per_child=1) as pool:
        running = {pool.submit(experiment, stem, overrides): stem for stem in longest_first}
        for count, done in enumerate(as_completed(running), 1):
            stem, outcome = running[done], done.result()
            word = "failed" if outcome.status else "done"
            print(
                f"{stem}: {word} in {outcome.seconds:.0f} s, {count} of {len(running)}", flush=True
            )
            if outcome.status:
                failed.append(stem)
                print(outcome.output)
    if failed:
        raise SystemExit(f"error: {', '.join(failed)} failed; what they said is above")


def cost(stem: str) -> tuple[bool, int]:
    """What takes longer: Inception rather than other networks, many arms rather than few."""
    return issubclass(find(stem).config, ImageConfig), len(variants(stem))


def experiment(stem: str, overrides: list[str]) -> Outcome:
    """Train or measure all arms of an experiment and draw them, in this process."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        status = call(lambda: measure_and_draw(stem, overrides))
        log.seek(0)
        return Outcome(status, time.perf_counter() - start, log.read())


def measure_and_draw(stem: str, overrides: list[str]) -> None:
    """What `make <experiment>` does, without Hydra's command line."""
    for cfg in valid_arms(stem, overrides):
        find(stem).measure.run(cfg)
    sys.argv = ["render", stem, *overrides]
    from scripts import render  # this process has it; the main one need not wait for it

    render.main()


def call(work: Callable[[], None]) -> int:
    """Do a command's work; its exit status."""
    try:
        with errors_in_one_line():
            work()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    guard(main)
