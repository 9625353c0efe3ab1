"""Evidence of the searches for Section 4.2's settings: a row a run, its curve, and what was chosen.

cells    a row a run: search (`variant`), round, value, seed, how it ended
curves   accuracy over steps of every run
winners  of each search: the value chosen, with where it was trained
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnrepro.evidence.evidence import run_row
from bnrepro.evidence.steps import Curve
from bnrepro.evidence.tables import Row, read_table, write_table
from bnrepro.run.record import read_rows, read_summary, write_atomically

TABLES = ("cells.csv", "curves.csv.gz")
ORDER = ("rate", "fast", "multiplier")  # what is chosen later rests on what was chosen before
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


@dataclass
class SearchEvidence:
    cells: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)
    winners: dict[str, Row] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(cell["variant"] for cell in self.cells))

    def curve(self, cell: Row) -> Curve:
        key = [cell[name] for name in ("variant", "round", "value", "seed")]
        rows = [r for r in self.curves if [r["variant"], r["round"], r["value"], r["seed"]] == key]
        return [(r["step"], r["test_accuracy"]) for r in rows if r["test_accuracy"] is not None]


def gather(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> SearchEvidence:
    """Evidence of the finished searches among the folders, by variant: the runs judged."""
    evidence, summaries = SearchEvidence(), {v: read_summary(f) for v, f in folders.items()}
    for variant in sorted(folders, key=ORDER.index):
        summary = summaries[variant]
        if summary is not None and summary["status"] == "ok":
            cells = [f"{name}/{v}" for name, scores in summary["rounds"].items() for v in scores]
            runs = (run for cell in cells for run in folders[variant].glob(f"{cell}/seed-*"))
            for run in sorted(runs, key=_in_time):
                _add(evidence, variant, run)
            _choose(evidence, variant, summary)
    return evidence


def _place(run: Path) -> tuple[str, float, int]:
    """Round, value and seed, as the folder's path has them."""
    return run.parts[-3], float(run.parts[-2]), int(run.name.split("-")[1])


def _in_time(run: Path) -> tuple[bool, str, float, int]:
    """Finalists after the rounds that they come from."""
    name, value, seed = _place(run)
    return name.startswith("finalist"), name, value, seed


def _add(evidence: SearchEvidence, variant: str, run: Path) -> None:
    name, value, seed = _place(run)
    key = {"variant": variant, "round": name, "value": value, "seed": seed}
    row = run_row(run)
    evidence.cells.append(key | {k: row[k] for k in KEPT})
    for r in read_rows(run / "metrics.jsonl"):
        point = {k: r[k] for k in ("step", "test_accuracy", "train_loss", "wall_s")}
        evidence.curves.append(key | point)


def _choose(evidence: SearchEvidence, search: str, summary: Row) -> None:
    """The search's winner by the rule of configs/inception_grid.yaml; `multiplier` has none."""
    own = [cell for cell in evidence.cells if cell["variant"] == search]
    commits = list(dict.fromkeys(cell["commit"] for cell in own))
    chosen = {"rate": summary["best"]["value"], "fast": chosen_speed(evidence)}.get(search)
    evidence.winners[search] = {
        "value": chosen,
        "at_edge": summary["at_edge"] if search == "rate" else None,
        "config_hash": summary["config_hash"],
        **{k: own[0][k] for k in PROVENANCE},
        "commit": " ".join(commits) if all(commits) else None,
        "dirty": any(cell["dirty"] is not False for cell in own),
    }


def plain_target(evidence: SearchEvidence) -> float | None:
    """The best accuracy of the plain network at its winning rate, with the whole budget."""
    rate = evidence.winners.get("rate", {}).get("value")
    own = [c for c in evidence.cells if (c["variant"], c["value"]) == ("rate", rate)]
    best = [c["best_test_accuracy"] for c in own if c["round"].startswith("finalist")]
    return max(best) if best else None


def chosen_speed(evidence: SearchEvidence) -> float | None:
    """The largest speed of decay with which BN-x5 still reaches the plain network's best."""
    target = plain_target(evidence)
    cells = [cell for cell in evidence.cells if cell["variant"] == "fast"]
    if target is None or not cells:
        return None
    reached = [c["value"] for c in cells if (c["best_test_accuracy"] or 0) >= target]
    return max(reached, default=min(c["value"] for c in cells))


def write(evidence: SearchEvidence, folder: Path) -> None:
    for name in TABLES:
        write_table(folder / name, getattr(evidence, name.split(".")[0]))
    write_atomically(folder / "winners.json", json.dumps(evidence.winners, indent=1) + "\n")


def read(folder: Path) -> SearchEvidence:
    """Read what `write` wrote. Raises a UserError when nothing was published there."""
    cells, curves = (read_table(folder / name) for name in TABLES)
    return SearchEvidence(cells, curves, json.loads((folder / "winners.json").read_text()))
