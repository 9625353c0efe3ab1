"""One arm after another on all threads, or several side by side? Part of `make bench`.

N processes train an arm each. On a processor they share out the threads; on a GPU they share the
GPU. What counts is the machine's time: the seconds of a step over N.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from joblib import Parallel, delayed

from bnrepro.config import compose
from bnrepro.data.synthetic import synthetic
from bnrepro.run.device import set_up_torch
from bnrepro.training.images import ImageTrainer
from scripts.bench_inception import STEPS, inception
from scripts.bench_measure import forget_peak, median_for, peak_mb
from scripts.bench_slots import training
from scripts.plan import made_up

PROCESSES = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 2, 3)}
ARMS = ("baseline", "bn", "bn_x5")  # the first two of mnist, five seeds; then of inception
SECONDS, IMAGES = 4.0, 12_000
Measured = tuple[float, int | None]  # seconds a step, peak MB


def process_rows(device: torch.device, _: str | None) -> Iterator[dict[str, Any]]:
    """The machine's µs a step of each arm, by the number of processes."""
    cores = os.cpu_count() or 1
    for processes in PROCESSES[device.type]:
        if device.type == "cuda" or processes <= cores:
            threads = max(1, cores // processes)
            for arm in ARMS:
                each = side_by_side(arm, device.type, processes, threads)
                rate = sum(1 / seconds for seconds, _ in each)
                us, mb = round(1e6 / rate, 1), max((m for _, m in each if m), default=None)
                key = {"arm": arm, "processes": processes, "threads": threads}
                yield {**key, "us": us, "mb": mb}


def side_by_side(arm: str, kind: str, processes: int, threads: int) -> list[Measured]:
    """What each of so many processes measures while the others train too."""
    with Parallel(n_jobs=processes) as parallel:
        parallel(delayed(prepare)(arm, kind, threads) for _ in range(processes))
        return parallel(delayed(alone)(arm, kind, threads) for _ in range(processes))


def prepare(arm: str, kind: str, threads: int) -> None:
    """Let a process start, so that all begin to measure at once."""
    set_up(arm, kind, threads)


def set_up(arm: str, kind: str, threads: int) -> Callable[[], object]:
    """A round of an arm's training."""
    device = torch.device(kind)
    if arm == "bn_x5":
        cfg = inception(arm, device)
        set_up_torch(cfg)
        torch.set_num_threads(threads)
        trainer = ImageTrainer(cfg, 0, made_up(cfg, 2_000), device)
        return lambda: next(trainer.run([trainer.step + STEPS[kind]]))
    cfg = compose("mnist", [f"variant={arm}", "data=synthetic"])
    set_up_torch(cfg)
    torch.set_num_threads(threads)
    return training(cfg, synthetic(IMAGES, 1_000), 5, device, steps(arm, kind))


def steps(arm: str, kind: str) -> int:
    """Training steps of a round."""
    return STEPS[kind] if arm == "bn_x5" else 50


def alone(arm: str, kind: str, threads: int) -> Measured:
    """Seconds a step (of one seed, for mnist) of one process, and its peak MB."""
    forget_peak(torch.device(kind))
    seconds = median_for(set_up(arm, kind, threads), SECONDS)
    each = steps(arm, kind) * (1 if arm == "bn_x5" else 5)
    return seconds / each, peak_mb(torch.device(kind))
