"""What every part of `make bench` measures with: times of contestants that take turns, memory."""

import contextlib
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

Run = Callable[[], object]


def medians(runs: Sequence[Run], rounds: int) -> list[float]:
    """Median seconds of each, taking turns so that drift of the machine's speed hits all alike."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(rounds):
        for run, seen in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            seen.append(time.perf_counter() - start)
    return [statistics.median(t) for t in times]


def median_for(run: Run, seconds: float) -> float:
    """Median seconds of a run that is repeated for so long, at least three times."""
    run()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def forget_peak(device: torch.device) -> None:
    """Let the peak of memory be that of what follows."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # Linux alone
        Path("/proc/self/clear_refs").write_text("5", "utf-8")


def peak_mb(device: torch.device, process: int | str = "self") -> int | None:
    """Peak MB: of tensors on a GPU; of a whole process, PyTorch included; None where not known."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6)
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process}/status").read_text("utf-8")
        if found := re.search(r"VmHWM:\s+(\d+) kB", text):
            return round(int(found[1]) * 1024 / 1e6)
    return None
