"""The run record: what a run leaves in its folder, and whether that is whole.

    config.yaml     the resolved config
    meta.json       command, commit, versions, device, data set, the group it was trained in
    metrics.jsonl   one object a logged step, written at once; the source of every figure
    summary.json    status, outcome, final and best metrics, config_hash, hashes of the criteria,
                    peak_mb, the number of rows, the digests of the other three files and its own

The folder's path is a pure function of config and seed. One process at a time may hold it. A
finished record is whole while its files have the digests in its summary. The rows of an unfinished
one are whole up to a checkpoint's mark while they have the mark's digest.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from bnrepro.errors import UserError
from bnrepro.files import read_bytes, write_atomically, writing

log = logging.getLogger(__name__)
FINISHED = ("ok", "diverged")
Mark = dict[str, Any]  # of rows: how many, their bytes, the digest of these bytes
NO_ROWS: Mark = {"rows": 0, "bytes": 0, "sha256": hashlib.sha256().hexdigest()}


class Record:
    """One run's folder: opened by `begin`, written row by row, closed by `finish`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.metrics = folder, folder / "metrics.jsonl"
        self._rows, self._bytes, self._sha = 0, 0, hashlib.sha256()
        self._digests: dict[str, str] = {}
        self.meta: Mapping[str, Any] = {}

    def begin(self, cfg: Any, meta: Mapping[str, Any], mark: Mark = NO_ROWS) -> None:
        """Write config and meta; keep the rows up to a checkpoint's mark, drop later ones."""
        kept = (read_bytes(self.metrics) or b"")[: mark["bytes"]]
        with writing(self.folder):  # first of all: from here on the run is not finished
            (self.folder / "summary.json").unlink(missing_ok=True)
        self.keep("config.yaml", OmegaConf.to_yaml(OmegaConf.structured(cfg)).encode())
        self.keep("meta.json", (json.dumps(meta, indent=1) + "\n").encode())
        write_atomically(self.metrics, kept)
        self.meta = meta
        self._rows, self._bytes, self._sha = mark["rows"], len(kept), hashlib.sha256(kept)

    def keep(self, name: str, content: bytes) -> None:
        """Write one more file of the record, whose digest its summary will hold."""
        write_atomically(self.folder / name, content)
        self._digests[name] = hashlib.sha256(content).hexdigest()

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row. Raises ValueError for a number that is not finite."""
        line = to_line(row).encode()
        with writing(self.metrics), self.metrics.open("ab") as file:
            file.write(line)
        self._rows, self._bytes = self._rows + 1, self._bytes + len(line)
        self._sha.update(line)

    def mark(self) -> Mark:
        """What a checkpoint keeps of the rows so far, which are durable from here on."""
        if self._rows:
            with writing(self.metrics), self.metrics.open("rb") as file:
                os.fsync(file.fileno())
        return {"rows": self._rows, "bytes": self._bytes, "sha256": self._sha.hexdigest()}

    def whole(self, marks: Sequence[Mark]) -> int:
        """How many of these marks, made one after the other, the rows on disk still fulfil.

        Where not all are, a line says so.
        """
        data, sha, start, kept = read_bytes(self.metrics) or b"", hashlib.sha256(), 0, 0
        for mark in marks:
            sha.update(data[start : mark["bytes"]])
            start = mark["bytes"]
            if len(data) < start or sha.hexdigest() != mark["sha256"]:
                break
            kept += 1
        if kept < len(marks):
            rows = marks[kept - 1]["rows"] if kept else 0
            consequence = f"goes on after row {rows}" if rows else "begins anew"
            report(self.folder, self.metrics, consequence)
        return kept

    def rows(self) -> list[dict[str, Any]]:
        """All rows logged so far; a last line cut short by a kill is dropped."""
        return read_rows(self.metrics)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, which ends the run, with the digests of what `begin` opened."""
        if self._digests:
            mark = self.mark()
            digests = self._digests | {"metrics.jsonl": mark["sha256"]}
            summary = {**summary, "rows": mark["rows"], "sha256": digests}
        summary = {**summary, "peak_mb": peak_mb()}
        signed = {**summary, "digest": _digest(summary)}
        write_atomically(self.folder / "summary.json", json.dumps(signed, indent=1) + "\n")


def peak_mb() -> int | None:
    """The most memory that this process has held, in MB; None where the system does not say it."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _digest(summary: Mapping[str, Any]) -> str:
    """Of all that a summary says; the same once it was read back."""
    return hashlib.sha256(json.dumps(summary).encode()).hexdigest()


def to_line(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON. Raises ValueError for a number that is not finite."""
    return json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line cut short by a kill is dropped.

    Raises a UserError where another line is no row.
    """
    *lines, _ = (read_bytes(path) or b"").split(b"\n")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_parse(line))
        except ValueError as error:
            raise UserError(_damaged(path, f"line {number}: {error}")) from error
    return rows


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None without a file. Raises a UserError for other contents."""
    data = read_bytes(path)
    try:
        return None if data is None else _parse(data)
    except ValueError as error:
        raise UserError(_damaged(path, str(error))) from error


def read_meta(folder: Path, **needed: Any) -> dict[str, Any]:
    """meta.json of a run; empty where there is none. `needed` are keys, with their types.

    Raises a UserError for a damaged file, or one that lacks a key.
    """
    path = folder / "meta.json"
    return require(path, read_json(path) or {}, **needed)


def read_config(folder: Path, **needed: Any) -> dict[str, Any]:
    """config.yaml of a run. `needed` are keys, with their types.

    Raises a UserError for a damaged file, or one that lacks a key.
    """
    path = folder / "config.yaml"
    try:
        config = yaml.safe_load((read_bytes(path) or b"").decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(_damaged(path, str(error).splitlines()[0])) from error
    if not isinstance(config, dict):
        raise UserError(_damaged(path, "no mapping"))
    return require(path, config, **needed)


def read_summary(folder: Path, **needed: Any) -> dict[str, Any] | None:
    """summary.json; None while the run has not ended. `needed` are more keys, with their types.

    Raises a UserError for a damaged file, or one that lacks a key.
    """
    path = folder / "summary.json"
    if (summary := read_json(path)) is None:
        return None
    if summary.pop("digest", None) not in (None, _digest(summary)):
        raise UserError(_damaged(path, "not as its run left it"))
    summary.setdefault("sha256", {})  # records of before have none
    return require(path, summary, status=str, config_hash=str, sha256=dict, **needed)


def require(path: Path, content: dict[str, Any], **needed: Any) -> dict[str, Any]:
    """What a file of a run holds. Raises a UserError for a key that lacks or is of another type."""
    for key, kind in needed.items():
        if key not in content or not isinstance(content[key], kind):
            raise UserError(f"{path}: damaged (no valid {key}); replace the run with force=true")
    return content


def _parse(data: bytes) -> dict[str, Any]:
    """Raises ValueError for anything but one JSON object in UTF-8."""
    try:
        content = json.loads(data.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def _damaged(path: Path, reason: str) -> str:
    return f"{path}: damaged ({reason}); delete it, or replace the run with force=true"


_reported: set[Path] = set()


def report(folder: Path, path: Path, consequence: str) -> None:
    """Say which file of a run is damaged: one line a run's folder."""
    if folder not in _reported:
        log.warning("%s: damaged or missing, not as its run left it; the run %s", path, consequence)
    _reported.add(folder)


def is_whole(folder: Path, summary: Mapping[str, Any], consequence: str) -> bool:
    """Whether the files of a run that has ended are as it left them; else a line says which not."""
    for name, digest in summary["sha256"].items():
        data = read_bytes(folder / name)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            report(folder, folder / name, consequence)
            return False
    return True


def has_result(folder: Path, **needed: Any) -> bool:
    """Whether a folder has the whole record of a finished run, for figures; a line says what is
    damaged. `needed` are keys of the summary, with their types."""
    try:
        summary = read_summary(folder, **needed)
        if summary is None or summary["status"] not in FINISHED:
            return False
        return is_whole(folder, summary, "is left out: run its command again")
    except UserError as error:
        log.warning("%s", error)
        return False


def seed_folders(folder: Path) -> dict[int, Path]:
    """The folders of an arm's runs by seed, in order; a line names others that are called alike."""
    runs = {}
    for path in folder.glob("seed-*"):
        if path.is_dir() and re.fullmatch("seed-(0|[1-9][0-9]*)", path.name):
            runs[int(path.name[5:])] = path
        else:
            log.warning("%s: no folder of a run (seed-<number>), left out", path)
    return dict(sorted(runs.items()))


def is_finished(folder: Path, expected_hash: str, force: bool) -> bool:
    """Whether this very run has ended and is whole; another config's is never overwritten.

    Raises a UserError for a folder with a run of another config or data set, or a damaged summary.
    """
    if force or (summary := read_summary(folder)) is None:
        return False
    if summary["config_hash"] != expected_hash:
        raise UserError(
            f"{folder}: holds a run of another config or data set (hash {summary['config_hash']}, "
            f"this one is {expected_hash}); move it away, or replace it with force=true"
        )
    return summary["status"] in FINISHED and is_whole(folder, summary, "is made again")


def forced(cfg: Any, folder: Path) -> bool:
    """Whether `force=true` replaces what is there: only once by a job that Slurm requeues."""
    if not cfg.force or os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        return cfg.force
    with contextlib.suppress(UserError):
        return read_meta(folder).get("job") != slurm_job()
    return True


def slurm_job() -> str | None:
    """The number of the Slurm job that this process is a part of."""
    return os.environ.get("SLURM_JOB_ID")
