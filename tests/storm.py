"""A storm of SIGKILLs: do runs that were killed at random end as undisturbed ones do?

    python -m tests.storm [--kills 200] [--seed 0]

An attempt is a process that is killed at a random moment: when it opens, renames or removes a file
of its results, summaries and checkpoints included, or after a random time. Attempts follow one
another on the same results until one ends by itself. What it leaves, times apart, must then be what
an undisturbed run leaves: rows, summaries, and checkpoints tensor by tensor. Of two data-parallel
processes either one is killed, or torchrun's agent, or all of them at once. Needs Linux.
"""

import logging
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from bnrepro.cli import Parser, command, guard
from bnrepro.errors import UserError
from bnrepro.experiment import find
from bnrepro.run.record import read_rows, read_summary

TOUCHED = ("open", "os.rename", "os.remove", "os.mkdir")  # Python's audit events for files
TIMES = ("wall_s", "cpu_s", "seconds", "peak_mb", "meta", "rows", "cells", "spent", "sha256")
TORCHRUN: dict[str, Any] = {  # `--standalone`, but its processes are forked
    "rdzv_backend": "c10d",
    "rdzv_endpoint": "localhost:0",
    "run_id": "storm",
    "start_method": "fork",
    "max_restarts": 0,
    "monitor_interval": 0.1,
}
QUIET = ("threads=1", "wandb.mode=disabled")
PATIENCE = 60  # seconds for an attempt to end; orphans need a few


@dataclass(frozen=True)
class Case:
    """A run that is killed, and its share of the kills."""

    experiment: str
    overrides: tuple[str, ...]
    share: float
    processes: int = 1


SMALL = ("budget.steps=8", "eval.test_examples=20", "eval.probe_examples=8", "optim.batch=16")
CASES = {
    "mnist": Case("mnist", ("variant=bn",), 0.35),
    "inception": Case("inception", ("variant=inception", *SMALL), 0.3),
    "jacobian": Case("jacobian", (), 0.25),
    "two processes": Case("inception", ("variant=bn_x5", *SMALL), 0.1, processes=2),
}


@dataclass(frozen=True)
class Fuse:
    """When an attempt is killed: at its n-th touch of a file, or after seconds; 0: not by this."""

    touches: int = 0
    seconds: float = 0.0


def main() -> None:
    """Make the storms; exit status 1 if a run ended otherwise than undisturbed."""
    parser = Parser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, made, mismatches = random.Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            wanted = max(1, round(case.share * options.kills))
            kills, wrong = storm(case, wanted, rng, Path(folder) / name)
            print(f"{name}: {kills} kills, {wrong} mismatches", flush=True)
            made, mismatches = made + kills, mismatches + wrong
    print(f"{made} kills, {mismatches} mismatches")
    if mismatches:
        raise SystemExit(1)


def storm(case: Case, kills: int, rng: random.Random, folder: Path) -> tuple[int, int]:
    """Kill that many attempts at a case; how many were killed, and how many results differ."""
    # imported here, once for all attempts: PyTorch's compiler comes with the first optimiser
    _ = find(case.experiment).measure, torch.optim.SGD([torch.zeros(1)])
    folder.mkdir(parents=True)
    start = time.perf_counter()
    calm = attempt(case, folder / "calm", Fuse(), rng)
    seconds, expected = time.perf_counter() - start, left(folder / "calm")
    made = mismatches = 0
    while made < kills:
        results, killed = folder / f"storm-{made}", True
        while killed and made < kills:
            by_touch = Fuse(touches=rng.randint(1, calm.touches))
            fuse = rng.choice([by_touch, Fuse(seconds=rng.uniform(0, seconds))])
            killed = attempt(case, results, fuse, rng).killed
            made += killed
        if killed:
            attempt(case, results, Fuse(), rng)
        found = left(results)
        if differing := sorted(k for k in expected | found if found.get(k) != expected.get(k)):
            mismatches += 1
            print(f"{case.experiment}, {case.processes} processes: {', '.join(differing)} differ")
    return made, mismatches


@dataclass(frozen=True)
class Outcome:
    """Whether an attempt was killed, and how often it touched its files."""

    killed: bool
    touches: int


def attempt(case: Case, results: Path, fuse: Fuse, rng: random.Random) -> Outcome:
    """Train a case into a results folder until the fuse kills it, if it does.

    Raises a UserError where it failed by itself, or a process lives on after its parent.
    """
    log, shared = results.with_suffix(".log"), mmap.mmap(-1, 8)
    pid = os.fork()
    if pid == 0:
        arguments = ["scale=smoke", *case.overrides, f"results={results}", *QUIET]
        become(lambda: _train(case, results, fuse.touches, shared), arguments, log)
    status = _status(pid, fuse.seconds or PATIENCE)
    killed = status is None
    if killed:
        victims = [pid, *_children(pid)]
        for victim in rng.choice([victims, *([v] for v in victims)]):
            os.kill(victim, signal.SIGKILL)
        # torchrun's agent may wait for one of them: a process that dies within the handshake of its
        # start leaves its locks taken
        if _status(pid, PATIENCE) is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    _await_orphans(pid)
    touches, fired = struct.unpack("ii", shared[:])
    if not (killed or fired or status == 0):
        raise UserError(f"{case.experiment} failed by itself:\n{log.read_text('utf-8')}")
    return Outcome(killed or bool(fired), touches)


def _status(pid: int, seconds: float) -> int | None:
    """The status with which a process ends within that time; None where it runs on."""
    end = time.monotonic() + seconds
    while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.002)
    return None if found == (0, 0) else found[1]


def _train(case: Case, results: Path, touches: int, shared: mmap.mmap) -> None:
    """Train in this forked process, with torchrun's agent where the case has several."""
    sys.addaudithook(_counting(str(results), touches, shared))
    main = command(find(case.experiment))
    if case.processes == 1:
        main()
    else:
        elastic_launch(LaunchConfig(1, 1, case.processes, **TORCHRUN), main)()


def become(work: Callable[[], object], arguments: Sequence[str], log: Path) -> NoReturn:
    """Make a forked process do this work as a command of its own, the first of its own group; what
    it says goes to a file."""
    status = 1
    try:
        os.setsid()
        sys.stdout = sys.stderr = log.open("a", encoding="utf-8", buffering=1)
        os.dup2(sys.stderr.fileno(), 1)
        os.dup2(sys.stderr.fileno(), 2)
        logging.getLogger().handlers.clear()  # pytest's
        sys.argv = ["command", *arguments]
        work()
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def _counting(results: str, deadly: int, shared: mmap.mmap) -> Callable[[str, Any], None]:
    """Count touches of files in the first process; kill it at the deadly one."""
    count = 0

    def hook(event: str, arguments: Any) -> None:
        nonlocal count
        if event not in TOUCHED or os.environ.get("RANK", "0") != "0":
            return
        if str(arguments[0]).startswith(results):
            count += 1
            shared[:] = struct.pack("ii", count, count == deadly)
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _await_orphans(group: int) -> None:
    """Wait until every process of a killed one's group has ended."""
    end = time.monotonic() + PATIENCE
    while alive := [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_of(p, group)]:
        if time.monotonic() > end:
            os.killpg(group, signal.SIGKILL)
            raise UserError(f"processes {alive} outlive their parent by {PATIENCE} s")
        time.sleep(0.02)


def _is_of(process: Path, group: int) -> bool:
    """Whether a process runs and belongs to a group; a dead one not collected does not run."""
    fields = _read(f"{process}/stat").rpartition(")")[2].split()
    return bool(fields) and fields[0] not in "ZX" and int(fields[2]) == group


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError:  # ended meanwhile
        return ""


def left(results: Path) -> dict[str, Any]:
    """What a run has left, times apart: rows, summaries and the states in its checkpoints."""
    found: dict[str, Any] = {}
    for path in sorted(results.rglob("*.*")):
        name = str(path.relative_to(results))
        if path.name == "metrics.jsonl":
            found[name] = plain(read_rows(path))
        elif path.name == "summary.json":
            found[name] = plain(read_summary(path.parent))  # its digest, of times too, holds
        elif path.suffix == ".pt":
            found[name] = plain(torch.load(path, weights_only=True))
        elif path.suffix == ".part":
            found[name] = "not removed"
    return found


def plain(value: Any) -> Any:
    """A value without times, its tensors as bytes, so that `==` compares it bit by bit."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in TIMES}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    return value


if __name__ == "__main__":
    guard(main)
