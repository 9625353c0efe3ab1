"""Evidence of the grid.

runs    a row an arm: the winner, with where it was trained
cells   a row a trained slot of every round
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bnrepro.config.schema import seed_list
from bnrepro.evidence.evidence import Evidence, grouped
from bnrepro.evidence.gather import common_criteria, merged, provenance
from bnrepro.evidence.steps import curve_of, steps_to
from bnrepro.evidence.tables import Row
from bnrepro.files import parse_yaml
from bnrepro.run.record import has_result, read_meta, read_rows, read_summary

Slot = tuple[float, float, int]  # rate, standard deviation and seed
PLATEAU = 0.2  # a network above this accuracy has left the initial plateau near 1/10


def gather_grid(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of the finished searches among the folders, one an arm; their seeds are theirs."""
    runs: list[Row] = []
    cells: list[Row] = []
    finished = {v: f for v, f in folders.items() if is_searched(f)}
    for variant, folder in finished.items():
        summary = read_summary(folder) or {}
        rounds = {folder / name: settings for name, settings in summary["rounds"].items()}
        cfg = parse_yaml((next(iter(rounds)) / "config.yaml").read_text("utf-8"))
        for path, settings in rounds.items():
            slots = round_slots(cfg, settings)
            cells.extend({"variant": variant, **row} for row in slot_rows(path, slots))
        network = {key: cfg["model"][key] for key in ("norm", "init")}
        winner = {**network, **summary["winner"], "at_edge": summary["at_edge"]}
        each = [provenance(path) for path in rounds]
        runs.append({"variant": variant, **winner, **each[0], **merged(each)})
    return Evidence(runs=runs, criteria=common_criteria(list(finished.values())), cells=cells)


def round_slots(cfg: Row, settings: Sequence[Sequence[float]]) -> list[Slot]:
    """Rate, standard deviation and seed of every slot of a round; `settings` end in their score."""
    slots = []
    for values in settings:
        cell = {"lr": cfg["optim"]["lr"], "init_std": cfg["model"]["init_std"]}
        cell |= dict(zip(cfg["grid"]["axes"], values, strict=False))
        slots += [(cell["lr"], cell["init_std"], seed) for seed in seed_list(cfg["seeds"])]
    return slots


def is_searched(folder: Path) -> bool:
    """Whether a search is finished and the records of all its rounds are whole."""
    if not has_result(folder, rounds=dict, winner=dict, at_edge=bool):
        return False
    return all(has_result(folder / name) for name in (read_summary(folder) or {})["rounds"])


def slot_rows(folder: Path, slots: Sequence[Slot]) -> list[Row]:
    """A row a slot of one round: its last accuracy, and how long it sat on the plateau.

    A slot without rows diverged before its first evaluation.
    """
    found = grouped(read_rows(folder / "metrics.jsonl"), "lr", "init_std", "seed")
    last = read_meta(folder, total=int)["total"]
    result = []
    for slot in slots:
        rows = found.get(slot, [])
        end: Row = rows[-1] if rows else {"step": 0, "train_loss": None}
        diverged = not rows or end["step"] < last
        result.append(
            {
                "round": folder.name,
                **dict(zip(("lr", "init_std", "seed"), slot, strict=True)),
                "steps": end["step"],
                "diverged": diverged,
                "accuracy": 0.0 if diverged else end["test_accuracy"],
                "train_loss": end["train_loss"],
                "left_plateau_at": steps_to(curve_of(rows), PLATEAU),
            }
        )
    return result
