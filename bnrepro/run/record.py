"""The run record: what a run leaves in its folder, and how it is resumed, skipped and locked.

    config.yaml     the resolved config
    meta.json       command, commit, versions, device, data set, the group it was trained in
    metrics.jsonl   one object a logged step, flushed at once; the source of every figure
    summary.json    status, outcome, final and best metrics, config_hash, criteria_hash

The folder's path is a pure function of config and seed. One process at a time may hold it.
"""

import contextlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from bnrepro.config import ROOT
from bnrepro.errors import UserError

FINISHED = ("ok", "diverged")
CODE = ("bnrepro", "configs", "experiments", "requirements.lock")
LIBRARIES = ("torch", "numpy", "hydra-core", "wandb", "matplotlib", "scipy")


class Record:
    """One run's folder: opened by `begin`, written row by row, closed by `finish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics = folder / "metrics.jsonl"

    def begin(self, cfg: Any, meta: Mapping[str, Any], resume_step: float) -> None:
        """Write config and meta; keep the rows up to the checkpoint's step and drop later ones."""
        if resume_step > 0:
            meta = {**meta, **_code_of_both(self.read_meta(), meta)}
        write_atomically(self.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.structured(cfg)))
        write_atomically(self.folder / "meta.json", json.dumps(meta, indent=1) + "\n")
        kept = [r for r in read_rows(self.metrics) if r["step"] <= resume_step]
        write_atomically(self.metrics, "".join(to_line(row) for row in kept))
        (self.folder / "summary.json").unlink(missing_ok=True)

    def log(self, row: Mapping[str, Any]) -> None:
        with writing(self.metrics), self.metrics.open("a") as file:
            file.write(to_line(row))

    def read_meta(self) -> dict[str, Any]:
        path = self.folder / "meta.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def rows(self) -> list[dict[str, Any]]:
        return read_rows(self.metrics)

    def finish(self, summary: Mapping[str, Any]) -> None:
        write_atomically(self.folder / "summary.json", json.dumps(summary, indent=1) + "\n")


def to_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line cut short by a kill is dropped."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def read_summary(folder: Path) -> dict[str, Any] | None:
    path = folder / "summary.json"
    return json.loads(path.read_text()) if path.exists() else None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside, sync, rename: a reader sees the old file or the new one, never half of one."""
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failing disk into one line that says what is kept and what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); what was recorded before is "
            "kept: make room or choose another folder (results=…) and run the same command again"
        ) from error


@contextlib.contextmanager
def locked(folders: Sequence[Path]) -> Iterator[None]:
    """Hold every run folder for this process; a second process gets a clear error."""
    with contextlib.ExitStack() as stack:
        for folder in folders:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                lock = FileLock(folder / "lock", timeout=0)
                try:
                    stack.enter_context(lock)
                except Timeout:
                    raise UserError(
                        f"{folder}: another process is working on this run; wait for it to end"
                    ) from None
        yield


def is_finished(folder: Path, expected_hash: str, force: bool) -> bool:
    """Whether this very run stands already; another config's record is never overwritten."""
    summary = read_summary(folder)
    if summary is None or force:
        return False
    if summary["config_hash"] != expected_hash:
        raise UserError(
            f"{folder}: holds a run of another config or data set (hash {summary['config_hash']}, "
            f"this one is {expected_hash}); move it away, or replace it with force=true"
        )
    return summary["status"] in FINISHED


def forced(cfg: Any, folder: Path) -> bool:
    """Whether what stands there is to be replaced (`force=true`): not once more by a job that began
    to replace it before Slurm put it back into the queue."""
    again = int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0
    return cfg.force and not (again and Record(folder).read_meta().get("job") == _slurm_job())


def _slurm_job() -> str | None:
    return os.environ.get("SLURM_JOB_ID")


def meta(device: torch.device, data: Mapping[str, Any], group: Sequence[int]) -> dict[str, Any]:
    """Where a run's numbers come from: enough to judge them later."""
    commit, dirty = repository_state()
    return {
        "command": shlex.join([f"python -m {_module()}", *sys.argv[1:]]).replace("'", "", 2),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "device": str(device),
        "hardware": hardware(device),
        "tf32": tf32() if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "processes": dist.get_world_size() if dist.is_initialized() else 1,
        "data": dict(data),
        "group": list(group),
        "job": _slurm_job(),
    }


def _code_of_both(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Commit and dirty flag of a resumed run, which the code of two processes has made."""
    known = [m for m in (before, now) if "commit" in m]
    if any(m["commit"] is None for m in known):
        return {"commit": None, "dirty": None}
    commits = dict.fromkeys(c for m in known for c in m["commit"].split())
    return {"commit": " ".join(commits), "dirty": any(m["dirty"] for m in known)} if known else {}


def tf32() -> dict[str, bool]:
    """Whether float32 products run in TF32, with 10 of 23 bits of the mantissa."""
    return {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "matrix products": torch.backends.cuda.matmul.allow_tf32,
    }


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else Path(sys.argv[0]).stem


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
        ["git", *args], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@cache
def hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
