"""Evidence of the grid.

runs    a row an arm: the winner, with where it was trained
cells   a row a trained slot of every round
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.gather import common_criteria, provenance
from bnrepro.evidence.steps import steps_to
from bnrepro.evidence.tables import Row
from bnrepro.run.record import Record, has_result, read_summary

PLATEAU = 0.2  # a network above this accuracy has left the initial plateau near 1/10


def gather_grid(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of the finished searches among the folders, one an arm; their seeds are theirs."""
    runs: list[Row] = []
    cells: list[Row] = []
    finished = {v: f for v, f in folders.items() if is_searched(f)}
    for variant, folder in finished.items():
        summary = read_summary(folder) or {}
        rounds = [folder / name for name in summary["rounds"]]
        for path in rounds:
            cells.extend({"variant": variant, **row} for row in slot_rows(path))
        winner = {**summary["winner"], "at_edge": summary["at_edge"]}
        runs.append({"variant": variant, **winner, **merged_provenance(rounds)})
    return Evidence(runs=runs, criteria=common_criteria(list(finished.values())), cells=cells)


def is_searched(folder: Path) -> bool:
    """Whether a search is finished and the records of all its rounds are whole."""
    if not has_result(folder, rounds=dict, winner=dict, at_edge=bool):
        return False
    return all(has_result(folder / name) for name in (read_summary(folder) or {})["rounds"])


def merged_provenance(rounds: Sequence[Path]) -> Row:
    """Where a search's rounds come from; some may have been added at a later commit."""
    each = [provenance(folder) for folder in rounds]
    commits = [row["commit"] for row in each]
    unique = dict.fromkeys(" ".join(commits).split()) if all(commits) else ()
    dirty = any(row["dirty"] is not False for row in each)
    return {**each[0], "commit": " ".join(unique) or None, "dirty": dirty}


def slot_rows(folder: Path) -> list[Row]:
    """A row a slot of one round: its last accuracy, and how long it sat on the plateau."""
    slots: dict[tuple[float, float, int], list[Row]] = {}
    for row in Record(folder).rows():
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
