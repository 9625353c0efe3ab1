"""Evidence of the searches.

runs     a row a search: the value chosen, with where it was trained
cells    a row a run: search (`variant`), round, value, seed, how it ended
curves   accuracy over steps of every run
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.gather import TRAINED, common_criteria, merged, run_row
from bnrepro.evidence.tables import Row
from bnrepro.run.record import has_result, read_rows, read_summary, seed_folders
from experiments.inception_grid.metrics import chosen_speed, kind

log = logging.getLogger(__name__)
# what is chosen later rests on what was chosen before
ORDER = ("rate", "fast", "multiplier", "rate_bn_baseline", "rate_bn_x5")
PROVENANCE = ("commit", "dirty", "hardware", "data", "data_checksum")
KEPT = (
    "outcome",
    "first_non_finite_step",
    "steps",
    "final_test_accuracy_all",
    "best_test_accuracy",
    "best_step",
    "wall_s",
    "lr",
    "torch",
    *PROVENANCE,
)


def gather_searches(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of the finished searches among the folders; the seeds are part of their config."""
    evidence = Evidence(runs=[], cells=[], curves=[])
    finished = {v: read_summary(f) or {} for v, f in folders.items() if is_searched(f)}
    for variant in sorted(finished, key=lambda search: ORDER.index(kind(search))):
        summary = finished[variant]
        cells = _cells(folders[variant], summary)
        runs = [run for cell in cells for run in seed_folders(cell).values()]
        for run in sorted(runs, key=_in_time):
            _add(evidence, variant, run)
        evidence.runs.append(_choose(evidence, variant, summary))
    evidence.tables["criteria"] = common_criteria([folders[v] for v in finished])
    return evidence


def is_searched(folder: Path) -> bool:
    """Whether a search is finished and the records of all its runs are whole."""
    if not has_result(folder, rounds=dict, winner=dict, at_edge=bool):
        return False
    cells = _cells(folder, read_summary(folder) or {})
    for cell in cells:
        runs = seed_folders(cell).values()
        if not runs:
            log.warning("%s: no run here, the search is left out: run its command again", cell)
        if not (runs and all(has_result(run, **TRAINED) for run in runs)):
            return False
    return True


def _cells(folder: Path, summary: Row) -> list[Path]:
    """The folders of a value's runs that this search made; there may be some of an earlier one."""
    rounds = summary["rounds"].items()
    return [folder / f"{name}/{cell[0]:g}" for name, cells in rounds for cell in cells]


def _place(run: Path) -> tuple[str, float, int]:
    """Round, value and seed, as the folder's path has them."""
    return run.parts[-3], float(run.parts[-2]), int(run.name.split("-")[1])


def _in_time(run: Path) -> tuple[bool, str, float, int]:
    """Finalists after the rounds that they come from."""
    name, value, seed = _place(run)
    return name.startswith("finalist"), name, value, seed


def _add(evidence: Evidence, variant: str, run: Path) -> None:
    name, value, seed = _place(run)
    key = {"variant": variant, "round": name, "value": value, "seed": seed}
    row = run_row(run)
    evidence.cells.append(key | {k: row[k] for k in KEPT})
    for r in read_rows(run / "metrics.jsonl"):
        point = {k: r[k] for k in ("step", "test_accuracy", "train_loss", "wall_s")}
        evidence.curves.append(key | point)


def _choose(evidence: Evidence, search: str, summary: Row) -> Row:
    """The search's winner by the rule of configs/inception_grid.yaml; `multiplier` has none."""
    cells = evidence.where("cells", variant=search)
    best = next(v for k, v in summary["winner"].items() if k != "score")
    by_rule = {"fast": chosen_speed(evidence, search), "multiplier": None}
    return {
        "variant": search,
        "value": by_rule.get(kind(search), best),
        "at_edge": summary["at_edge"] if kind(search) not in by_rule else None,
        "config_hash": summary["config_hash"],
        **{k: cells[0][k] for k in PROVENANCE},
        **merged(cells),
    }
