"""Where a run's numbers come from: enough to judge them later."""

import contextlib
import logging
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from bnrepro import ROOT
from bnrepro.run.record import slurm_job

log = logging.getLogger(__name__)
CODE = ("bnrepro", "configs", "experiments", "requirements.lock")
LIBRARIES = ("torch", "numpy", "hydra-core", "wandb", "matplotlib", "scipy")
DIGITS = ("device", "hardware", "threads", "torch")  # what the last digits of a run depend on


def describe_run(
    device: torch.device, data: Mapping[str, Any], group: Sequence[int]
) -> dict[str, Any]:
    """The content of meta.json; `group` are the seeds trained together."""
    commit, dirty = repository_state()
    return {
        "command": shlex.join([f"python -m {_module()}", *sys.argv[1:]]).replace("'", "", 2),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "device": str(device),
        "hardware": hardware(device),
        "tf32": tf32() if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "processes": dist.get_world_size() if dist.is_initialized() else 1,
        "data": dict(data),
        "group": list(group),
        "job": slurm_job(),
    }


def _version(library: str) -> str | None:
    """Its version; None for a library that this run does without."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def continued(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """meta.json of a run that one process began and another goes on with.

    Both have made it with their code. A line says what changes the last digits.
    """
    then, here = (
        {key: meta[key] for key in ("device", "hardware", "threads")} | meta["versions"]
        for meta in (before, now)
    )
    changes = [f"{k} {here[k]} (before: {then[k]})" for k in DIGITS if here[k] != then[k]]
    if changes:
        text = "%s: resumed with %s: the last digits may differ from an undisturbed run's"
        log.warning(text, folder, ", ".join(changes))
    if before["commit"] is None or now["commit"] is None:
        return {**now, "commit": None, "dirty": None}
    commits = dict.fromkeys([*before["commit"].split(), *now["commit"].split()])
    return {**now, "commit": " ".join(commits), "dirty": before["dirty"] or now["dirty"]}


def tf32() -> dict[str, bool]:
    """Whether float32 products run in TF32, with 10 of 23 bits of the mantissa."""
    return {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "matrix products": torch.backends.cuda.matmul.allow_tf32,
    }


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).stem


@cache
def repository_state() -> tuple[str | None, bool | None]:
    """Commit and whether code or configs differ from it, as this process started."""
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return commit, bool(_git("status", "--porcelain", "--", *CODE).strip())
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git(*args: str) -> str:
    return subprocess.run(
        ["git", *args], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout


@cache
def hardware(device: torch.device) -> str:
    """The processor and its cores, or the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
