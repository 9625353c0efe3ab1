"""Run records on disk, read only as far as they have grown: for pages and tables of running arms.

Nothing here raises for what it finds: a record that is half written or broken says so in its
`problem`, and the rows before the damage are kept.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bnrepro.config.identity import settings
from bnrepro.dashboard.columns import Columns, flat
from bnrepro.errors import UserError

FILES = ("config.yaml", "meta.json", "metrics.jsonl")  # what makes a folder a record
LEVELS = ("round", "value")  # what folders between an arm and its runs mean: those of a search
UNREADABLE = (OSError, ValueError, AttributeError, TypeError, UserError, yaml.YAMLError)
PATIENCE = 120  # seconds without a row before a run without a summary counts as stopped


class FollowedRecord:
    """One record: its rows as columns, and how far the run is.

    Attributes:
        key: by what it differs from the other records of its arm: round, value, seed.
        tables: its rows by `part`, a training run's under `curves`.
    """

    def __init__(self, folder: Path, place: tuple[str, ...]) -> None:
        self.folder = folder
        self.experiment, self.scale, self.arm = place[:3]
        self.key = _key(place[3:])
        self.settings: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self.summary: dict[str, Any] | None = None
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._problems: dict[str, str] = {}  # of files as they are now
        self._start_over()

    def _start_over(self) -> None:
        self.tables: dict[str, Columns] = {}
        self.new: dict[str, list[dict[str, Any]]] = {}  # rows of the last `read`
        self.done: float = 0  # steps of training, or cells of a sweep
        self._problems.pop("metrics.jsonl", None)
        self.began_anew = True
        self._offset, self._lines = 0, 0
        self._seen: list[tuple[float, float]] = []  # when rows were read here, and `done` then

    def read(self) -> bool:
        """Read what was written since the last time; whether there was anything."""
        self.new, self.began_anew = {}, False
        changed = [name for name in (*FILES, "summary.json") if self._has_changed(name)]
        for name in changed:
            if name == "metrics.jsonl":
                self._read_rows()
                continue
            self._problems.pop(name, None)
            try:
                self._read_whole(name)
            except UNREADABLE as error:
                said = " ".join(str(error).split())[:120]
                self._problems[name] = f"{name} cannot be read: {said}"
        return bool(changed)

    def _has_changed(self, name: str) -> bool:
        """Whether a file is another one than before; a file that replaced one starts rows anew."""
        try:
            found = (self.folder / name).stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            stamp = (0, 0, 0)
        before = self._stamps.get(name, (0, 0, 0))
        self._stamps[name] = stamp
        is_replaced = stamp[0] != before[0] or stamp[1] < before[1]
        if name == "metrics.jsonl" and before[0] and is_replaced:
            self._start_over()
        return stamp != before

    def _read_whole(self, name: str) -> None:
        path = self.folder / name
        if name == "config.yaml":
            self.settings = settings(yaml.safe_load(_text(path)), self.experiment)
        elif name == "meta.json":
            self.meta = _object(path)
        else:
            self.summary = None
            if self._stamps[name][0]:
                self.summary = _object(path)

    def _read_rows(self) -> None:
        """Take the complete lines that are new; a last line still being written waits."""
        with contextlib.suppress(OSError), (self.folder / "metrics.jsonl").open("rb") as file:
            file.seek(self._offset)
            content = file.read()
            whole = content.rfind(b"\n") + 1
            self._offset += whole
            self._take(content[:whole].splitlines())

    def _take(self, lines: list[bytes]) -> None:
        """Add rows to their tables; what follows a line that is no row is left out."""
        if "metrics.jsonl" in self._problems:
            return
        for line in lines:
            self._lines += 1
            try:
                row = flat(json.loads(line))
                self.done = float(row.get("cell") or row.get("step") or 0)
            except (ValueError, AttributeError, TypeError, ZeroDivisionError):
                place = f"metrics.jsonl: line {self._lines}"
                self._problems["metrics.jsonl"] = f"{place} is no row; what follows is left out"
                break
            self.new.setdefault(str(row.pop("part", "curves")), []).append(row)
        for table, new in self.new.items():
            self.tables.setdefault(table, Columns()).extend(new)
        if self.new:
            self._seen = [*self._seen[-20:], (time.time(), self.done)]

    @property
    def problem(self) -> str:
        """What cannot be read; empty where all can."""
        return "; ".join(self._problems.values())

    @property
    def updated(self) -> float:
        """When the record last changed, in seconds since 1970."""
        return max((stamp[2] for stamp in self._stamps.values()), default=0) / 1e9

    @property
    def total(self) -> float | None:
        """The steps or cells that the run will have; None where its meta data do not say."""
        total = self.meta.get("total")
        return float(total) if isinstance(total, int | float) else None

    def status(self) -> str:
        """`ok`, `diverged`, `interrupted`, `crashed`; without a summary `running` or `stopped`."""
        if self.summary is not None:
            return str(self.summary.get("status", "unreadable"))
        if self.problem:
            return "unreadable"
        return "running" if time.time() - self.updated < PATIENCE + 3 * self._gap() else "stopped"

    def _gap(self) -> float:
        """Seconds of training between the last two rows."""
        seconds = self.tables["curves"].data.get("wall_s", []) if "curves" in self.tables else []
        return max(0.0, seconds[-1] - seconds[-2]) if len(seconds) > 1 else 0.0

    def seconds_left(self) -> float | None:
        """Time left at the pace of the rows that came since the first look, else of training."""
        if self.total is None or self.status() != "running" or not self.done:
            return None
        (first, before), (last, now) = self._seen[0], self._seen[-1]
        seconds, steps = last - first, now - before
        if seconds < 2 or steps <= 0:
            seconds, steps = self.tables.get("curves", Columns()).last("wall_s") or 0.0, self.done
        return max(0.0, (self.total - self.done) * seconds / steps) if seconds else None

    def describe(self) -> dict[str, Any]:
        """The record's line in a table of runs."""
        summary, curves = self.summary or {}, self.tables.get("curves", Columns())
        final, best = summary.get("final") or {}, summary.get("best") or {}
        error = self.problem or str(summary.get("error") or "")
        return {
            "arm": self.arm,
            **self.key,
            "status": self.status(),
            "outcome": summary.get("outcome"),
            "note": error,
            "done": self.done,
            "total": self.total,
            "non_finite": summary.get("first_non_finite_step"),
            "last": final.get("test_accuracy", curves.last("test_accuracy")),
            "best": best.get("test_accuracy"),
            "seconds": summary.get("wall_s", curves.last("wall_s")),
            "updated": round(self.updated, 1),
            "left": self.seconds_left(),
            "data": (self.meta.get("data") or {}).get("name"),
            "hardware": self.meta.get("hardware"),
        }


def find_records(results: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Every record's folder below `results`, with its path from there."""
    for parent, folders, files in os.walk(results):
        place = Path(parent).relative_to(results).parts
        folders[:] = sorted(name for name in folders if name != "figures")
        if len(place) >= 3 and any(name in files for name in FILES):
            yield Path(parent), place


def _key(levels: tuple[str, ...]) -> dict[str, Any]:
    """Round, value and seed, as the folders below an arm say them."""
    key: dict[str, Any] = {}
    for i, level in enumerate(levels):
        if level.startswith("seed-") and level[5:].isdigit():
            key["seed"] = int(level[5:])
        else:
            key[LEVELS[min(i, 1)]] = _number(level)
    return key


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _object(path: Path) -> dict[str, Any]:
    content = json.loads(_text(path))
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")
