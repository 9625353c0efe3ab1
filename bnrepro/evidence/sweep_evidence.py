"""Evidence of a sweep: its rows, and where they come from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnrepro.evidence.tables import Row, read_table, write_table
from bnrepro.run.record import read_rows, read_summary, write_atomically

SWEEP = "sweep"  # the one variant of an experiment that is a sweep


@dataclass
class SweepEvidence:
    rows: list[Row] = field(default_factory=list)
    provenance: Row = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        return [SWEEP] if self.rows else []

    def where(self, **wanted: Any) -> list[Row]:
        """The rows whose columns have these values."""
        return [r for r in self.rows if all(r.get(k) == v for k, v in wanted.items())]


def seeds(evidence: SweepEvidence) -> list[int]:
    """The seeds that any row has, in order."""
    return sorted({row["seed"] for row in evidence.rows})


def unique(rows: Iterable[Row], key: str) -> list[Any]:
    """The values of a column, in the order they were measured."""
    return list(dict.fromkeys(row[key] for row in rows))


def gather(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> SweepEvidence:
    """Evidence of the finished sweep in the folder; its seeds are part of its config."""
    folder = folders[SWEEP]
    summary = read_summary(folder)
    if summary is None or summary["status"] != "ok":
        return SweepEvidence()
    meta = json.loads((folder / "meta.json").read_text())
    provenance = {k: meta[k] for k in ("commit", "dirty", "hardware", "threads")}
    data = {"data": meta["data"]["name"], "data_checksum": meta["data"]["checksum"]}
    hashes = {k: summary[k] for k in ("config_hash", "criteria_hash", "wall_s")}
    cost = {"cpu_s": summary.get("cpu_s")}  # what wall_s would be on an idle core, threads added up
    torch = {"torch": meta["versions"]["torch"]}
    return SweepEvidence(
        read_rows(folder / "metrics.jsonl"), provenance | data | hashes | cost | torch
    )


def write(evidence: SweepEvidence, folder: Path) -> None:
    """Write rows.csv.gz and provenance.json as `make publish` commits them."""
    write_atomically(folder / "provenance.json", json.dumps(evidence.provenance, indent=1) + "\n")
    write_table(folder / "rows.csv.gz", evidence.rows)


def read(folder: Path) -> SweepEvidence:
    """Read what `write` wrote. Raises a UserError when nothing was published there."""
    rows = read_table(folder / "rows.csv.gz")
    return SweepEvidence(rows, json.loads((folder / "provenance.json").read_text()))
