"""One arm after another on all threads, or several side by side? Part of `make bench`.

N processes train an arm each. On a processor they share out the threads; on a GPU they share the
GPU. What counts is the machine's time: the seconds of a step over N.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from joblib import Parallel, delayed

from bnrepro.config import compose
from bnrepro.data.synthetic import synthetic
from bnrepro.machine import cores
from bnrepro.run.device import set_up_torch
from bnrepro.training.images import ImageTrainer
from scripts.bench_inception import STEPS, inception
from scripts.bench_measure import forget_peak, median_for, peak_mb
from scripts.bench_slots import training
from scripts.plan import made_up

PROCESSES = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 2, 3)}
ARMS = ("baseline", "bn", "bn_x5")  # the first two of mnist, five seeds; then of inception
SECONDS, IMAGES = {"cpu": 4.0, "cuda": 3.0}, 12_000
Measured = tuple[float, int | None]  # seconds a step, peak MB


def process_rows(device: torch.device, _: str | None) -> Iterator[dict[str, Any]]:
    """The machine's µs a step of each arm, by the number of processes."""
    for processes in PROCESSES[device.type]:
        threads = cores() // processes
        if device.type == "cpu" and not threads:
            return
        with Parallel(n_jobs=processes) as parallel:
            for arm in ARMS:
                each = parallel([delayed(alone)(arm, device.type, max(1, threads))] * processes)
                us = 1e6 / sum(1 / seconds for seconds, _ in each)
                key = {"arm": arm, "processes": processes, "threads": max(1, threads)}
                mb = max((m for _, m in each if m), default=None)
                yield {**key, "us": round(us, 1), "mb": mb}


def set_up(arm: str, kind: str, threads: int) -> Callable[[], object]:
    """A round of an arm's training."""
    device = torch.device(kind)
    of_mnist = [f"variant={arm}", "data=synthetic"]
    cfg: Any = inception(arm, device) if arm == "bn_x5" else compose("mnist", of_mnist)
    set_up_torch(cfg)
    torch.set_num_threads(threads)
    if arm != "bn_x5":
        return training(cfg, synthetic(IMAGES, 1_000), 5, device, steps(arm, kind))
    trainer = ImageTrainer(cfg, 0, made_up(cfg, 2_000), device)
    return lambda: next(trainer.run([trainer.step + STEPS[kind]]))


def steps(arm: str, kind: str) -> int:
    """Training steps of a round."""
    return STEPS[kind] if arm == "bn_x5" else 50


def alone(arm: str, kind: str, threads: int) -> Measured:
    """Median seconds a step (of one seed, for mnist) of one process, and its peak MB.

    The median leaves out what one process trains before the others are there.
    """
    forget_peak(torch.device(kind))
    seconds = median_for(set_up(arm, kind, threads), SECONDS[kind])
    each = steps(arm, kind) * (1 if arm == "bn_x5" else 5)
    return seconds / each, peak_mb(torch.device(kind))
