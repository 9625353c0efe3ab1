"""The run record: what a run leaves in its folder, and how it is resumed, skipped and locked.

    config.yaml     the resolved config
    meta.json       command, commit, versions, device, data set, the group it was trained in
    metrics.jsonl   one object a logged step, written at once; the source of every figure
    summary.json    status, outcome, final and best metrics, config_hash, hashes of the criteria

The folder's path is a pure function of config and seed. One process at a time may hold it.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from bnrepro.errors import UserError
from bnrepro.files import write_atomically, writing

FINISHED = ("ok", "diverged")


class Record:
    """One run's folder: opened by `begin`, written row by row, closed by `finish`.

    `counter` is the column that counts rows: `step` of a training run, `cell` of a sweep.
    """

    def __init__(self, folder: Path, counter: str = "step") -> None:
        self.folder, self.counter = folder, counter
        self.metrics = folder / "metrics.jsonl"

    def begin(self, cfg: Any, meta: Mapping[str, Any], resume_at: float) -> None:
        """Write config and meta; keep the rows up to the checkpoint's count, drop later ones."""
        if resume_at > 0:
            meta = {**meta, **_code_of_both(self.read_meta(), meta)}
        write_atomically(self.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.structured(cfg)))
        write_atomically(self.folder / "meta.json", json.dumps(meta, indent=1) + "\n")
        kept = [r for r in self.rows() if r[self.counter] <= resume_at]
        write_atomically(self.metrics, "".join(to_line(row) for row in kept))
        (self.folder / "summary.json").unlink(missing_ok=True)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row. Raises ValueError for a number that is not finite."""
        with writing(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(to_line(row))

    def read_meta(self) -> dict[str, Any]:
        """meta.json; empty where there is none."""
        path = self.folder / "meta.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def rows(self) -> list[dict[str, Any]]:
        """All rows logged so far; a last line cut short by a kill is dropped."""
        return read_rows(self.metrics)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, which ends the run."""
        write_atomically(self.folder / "summary.json", json.dumps(summary, indent=1) + "\n")


def to_line(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON. Raises ValueError for a number that is not finite."""
    return json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line cut short by a kill is dropped."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def read_summary(folder: Path) -> dict[str, Any] | None:
    """summary.json; None while the run has not ended."""
    path = folder / "summary.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


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
    """Whether this very run has ended; another config's record is never overwritten.

    Raises:
        UserError: the folder holds a run of another config or data set.
    """
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
    """Whether `force=true` replaces what is there: only once by a job that Slurm requeues."""
    requeued = int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0
    return cfg.force and not (requeued and Record(folder).read_meta().get("job") == slurm_job())


def slurm_job() -> str | None:
    """The number of the Slurm job that this process is a part of."""
    return os.environ.get("SLURM_JOB_ID")


def _code_of_both(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Commit and dirty flag of a resumed run, which the code of two processes has made."""
    known = [m for m in (before, now) if "commit" in m]
    if any(m["commit"] is None for m in known):
        return {"commit": None, "dirty": None}
    commits = dict.fromkeys(c for m in known for c in m["commit"].split())
    return {"commit": " ".join(commits), "dirty": any(m["dirty"] for m in known)} if known else {}
