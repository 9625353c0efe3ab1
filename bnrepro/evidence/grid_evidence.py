"""Evidence of a grid: a row a trained slot, and the winner of each arm."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnrepro.evidence.steps import steps_to
from bnrepro.evidence.tables import Row, read_table, write_table
from bnrepro.run.record import read_rows, read_summary, write_atomically

PLATEAU = 0.2  # a network above this accuracy has left the initial plateau near 1/10


@dataclass
class GridEvidence:
    """`cells` holds a row a slot; `winners` an arm's chosen cell, with where it was trained."""

    cells: list[Row] = field(default_factory=list)
    winners: dict[str, Row] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(cell["variant"] for cell in self.cells))

    @property
    def data(self) -> str:
        return next(iter(self.winners.values()))["data"] if self.winners else ""


def gather(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> GridEvidence:
    """Evidence of the finished sweeps among the folders, one a variant."""
    evidence = GridEvidence()
    for variant, folder in folders.items():
        summary = read_summary(folder)
        if summary is None or summary["status"] != "ok":
            continue
        rounds = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.name)
        for name in rounds:
            evidence.cells.extend({"variant": variant, **row} for row in _slots(name))
        evidence.winners[variant] = {
            **summary["winner"],
            "at_edge": summary["at_edge"],
            **_provenance(rounds, summary),
        }
    return evidence


def _provenance(rounds: Sequence[Path], summary: Row) -> Row:
    """Where the winner comes from; rounds may have been added at a later commit."""
    metas = [json.loads((folder / "meta.json").read_text()) for folder in rounds]
    commits = [meta["commit"] for meta in metas]
    known = all(commits)
    return {
        "config_hash": summary["config_hash"],
        "commit": " ".join(dict.fromkeys(" ".join(commits).split())) if known else None,
        "dirty": any(meta["dirty"] is not False for meta in metas),
        "hardware": metas[0]["hardware"],
        "data": metas[0]["data"]["name"],
        "data_checksum": metas[0]["data"]["checksum"],
    }


def _slots(folder: Path) -> list[Row]:
    """A row a slot of one round: its last accuracy, and how long it sat on the plateau."""
    slots: dict[tuple[float, float, int], list[Row]] = {}
    for row in read_rows(folder / "metrics.jsonl"):
        slots.setdefault((row["lr"], row["init_std"], row["seed"]), []).append(row)
    last = max(rows[-1]["step"] for rows in slots.values())
    return [
        {
            "round": folder.name,
            "lr": lr,
            "init_std": std,
            "seed": seed,
            "steps": rows[-1]["step"],
            "diverged": rows[-1]["step"] < last,
            "accuracy": 0.0 if rows[-1]["step"] < last else rows[-1]["test_accuracy"],
            "train_loss": rows[-1]["train_loss"],
            "left_plateau_at": steps_to([(r["step"], r["test_accuracy"]) for r in rows], PLATEAU),
        }
        for (lr, std, seed), rows in slots.items()
    ]


def write(evidence: GridEvidence, folder: Path) -> None:
    write_table(folder / "cells.csv", evidence.cells)
    write_atomically(folder / "winners.json", json.dumps(evidence.winners, indent=1) + "\n")


def read(folder: Path) -> GridEvidence:
    """Read what `write` wrote. Raises a UserError when nothing was published there."""
    cells = read_table(folder / "cells.csv")
    return GridEvidence(cells, json.loads((folder / "winners.json").read_text()))
