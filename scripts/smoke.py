"""Every experiment end to end at scale smoke, one a core: its arms, then its figures and table.

    make smoke [ARGS="overrides"]

Each one runs what its own commands run, in a process that has the imports already.
"""

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from typing import NamedTuple

from bnrepro.cli import guard
from bnrepro.config.compose import arms_at, compose, validate
from bnrepro.experiment import stems

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
    arms = {stem: len(arms_at(stem, overrides)) for stem in stems()}
    for stem in arms:
        validate(compose(stem, overrides))
    longest_first = sorted(arms, key=lambda stem: -arms[stem])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    failed = []
    with ProcessPoolExecutor(os.cpu_count(), context, max_tasks_per_child=1) as pool:
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


def experiment(stem: str, overrides: list[str]) -> Outcome:
    """Train or measure all arms of an experiment and draw them, in this process."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        arms = arms_at(stem, overrides)
        sweep = [] if arms == ["sweep"] else ["-m", f"variant={','.join(arms)}"]
        status = call(f"experiments.{stem}.__main__", [*sweep, *overrides])
        status = status or call("scripts.render", [stem, *overrides])
        log.seek(0)
        return Outcome(status, time.perf_counter() - start, log.read())


def call(module: str, arguments: list[str]) -> int:
    """Run a command's `main` with these arguments; its exit status."""
    sys.argv = [module, *arguments]
    try:
        import_module(module).main()
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
