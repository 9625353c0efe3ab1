"""Evidence: what figures, tables and verdicts are made of.

It is gathered from run records, or read back from the files that `make publish` committed; both
give the same three tables, so a figure does not know which it shows.

    runs      a row a run: variant, seed, status, settings, final and best metrics, drift
    curves    a row a run and evaluated step: accuracy, loss, norms, saturation, layer summaries
    units     percentiles of the plotted units, first seed: the typical one of every probed layer,
              and of the last layer those of the sheet
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from bnrepro.evidence.drift import (
    SHEET_RANKS,
    TYPICAL_RANK,
    at_rank,
    layer_drift,
    series,
    units_by_drift,
)
from bnrepro.evidence.steps import Curve
from bnrepro.evidence.tables import Row, read_table, write_table
from bnrepro.run.record import read_rows, read_summary

TABLES = ("runs.csv", "curves.csv.gz", "units.csv.gz")


@dataclass
class Evidence:
    runs: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)
    units: list[Row] = field(default_factory=list)

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(run["variant"] for run in self.runs))

    @property
    def data(self) -> str:
        """The data set's name; all runs of one evidence share it."""
        return self.runs[0].get("data", "") if self.runs else ""

    def seeds(self, variant: str) -> list[int]:
        return sorted(run["seed"] for run in self.runs if run["variant"] == variant)

    def run(self, variant: str, seed: int) -> Row:
        return next(r for r in self.runs if (r["variant"], r["seed"]) == (variant, seed))

    def rows(self, variant: str, seed: int) -> list[Row]:
        return [r for r in self.curves if (r["variant"], r["seed"]) == (variant, seed)]

    def accuracy(self, variant: str, seed: int, axis: str = "step") -> Curve:
        rows = self.rows(variant, seed)
        return [(r[axis], r["test_accuracy"]) for r in rows if r["test_accuracy"] is not None]


def gather(folders: Mapping[str, Path], seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of finished runs: a folder a variant, all its seeds or those asked for."""
    evidence = Evidence()
    for variant, folder in folders.items():
        found = sorted(folder.glob("seed-*"), key=lambda p: int(p.name.split("-")[1]))
        runs = [f for f in found if seeds is None or int(f.name.split("-")[1]) in seeds]
        finished = [f for f in runs if (read_summary(f) or {}).get("status") in ("ok", "diverged")]
        for i, run in enumerate(finished):
            _add_run(evidence, variant, run, with_units=i == 0)
    return evidence


def _add_run(evidence: Evidence, variant: str, folder: Path, with_units: bool) -> None:
    rows = read_rows(folder / "metrics.jsonl")
    seed = int(folder.name.split("-")[1])
    key = {"variant": variant, "seed": seed}
    probed = [r for r in rows if r.get("percentiles")]
    layers = list(probed[0]["percentiles"][modes(probed[0])[0]]) if probed else []
    evidence.runs.append(key | run_row(folder) | _drifts(probed, layers))
    evidence.curves.extend(key | _curve_row(row, layers) for row in rows)
    if with_units and layers:
        for layer in layers:
            ranks = {TYPICAL_RANK, *(SHEET_RANKS if layer == layers[-1] else ())}
            evidence.units.extend(key | row for row in _unit_rows(probed, layer, sorted(ranks)))


def run_row(folder: Path) -> Row:
    """How a finished run was made and how it ended, from its summary, meta data and config."""
    summary = read_summary(folder) or {}
    meta = json.loads((folder / "meta.json").read_text())
    cfg = OmegaConf.load(folder / "config.yaml")
    final, best = summary["final"] or {}, summary["best"]
    return {
        **{k: summary[k] for k in ("status", "outcome", "first_non_finite_step", "steps")},
        "final_test_accuracy": final.get("test_accuracy"),
        "final_test_accuracy_population": final.get("test_accuracy_population"),
        "final_test_accuracy_all": final.get("test_accuracy_all"),
        "final_train_loss": final.get("train_loss"),
        "best_test_accuracy": best["test_accuracy"],
        "best_step": best["step"],
        "chance_accuracy": summary.get("chance_accuracy"),
        "non_finite_parameters": summary.get("non_finite_parameters"),
        "wall_s": summary["wall_s"],
        "trained_together": len(meta["group"]),
        "processes": meta.get("processes", 1),
        "lr": cfg.optim.lr,
        "init": OmegaConf.select(cfg, "model.init"),
        "init_std": OmegaConf.select(cfg, "model.init_std"),
        "batch": cfg.optim.batch,
        "data": meta["data"]["name"],
        "data_checksum": meta["data"]["checksum"],
        "config_hash": summary["config_hash"],
        "criteria_hash": summary["criteria_hash"],
        "commit": meta["commit"],
        "dirty": meta["dirty"],
        "hardware": meta["hardware"],
        "threads": meta["threads"],
        "torch": meta["versions"]["torch"],
    }


def modes(row: Row) -> list[str]:
    """The statistics that BN normalised with where percentiles were taken: training, inference."""
    return list(row.get("percentiles", ()))


def _drifts(probed: list[Row], layers: list[str]) -> Row:
    return {
        f"drift_{name}_{mode}_{layer}": round(value, 6)
        for mode in (modes(probed[0]) if probed else ())
        for layer in layers
        for name, value in layer_drift(probed, mode, layer).items()
        if np.isfinite(value)
    }


def _curve_row(row: Row, layers: list[str]) -> Row:
    plain = {k: v for k, v in row.items() if not isinstance(v, dict)}
    for name in ("grad_norm", "saturated"):
        plain |= {f"{name}_{layer}": value for layer, value in row.get(name, {}).items()}
    for mode in modes(row):
        for layer in layers:
            if layer not in row["percentiles"][mode]:
                continue  # not finite
            low, middle, high = np.array(row["percentiles"][mode][layer])
            plain[f"median_{mode}_{layer}"] = round(float(middle.mean()), 5)
            plain[f"spread_{mode}_{layer}"] = round(float((high - low).mean()), 5)
    return plain


def _unit_rows(probed: list[Row], layer: str, ranks: Sequence[int]) -> Iterable[Row]:
    """The units of the given ranks by drift in the first mode recorded."""
    order = units_by_drift(probed, modes(probed[0])[0], layer)
    for rank in ranks:
        unit = at_rank(order, rank)
        for mode in modes(probed[0]):
            steps, values = series(probed, mode, layer)
            for step, (p15, p50, p85) in zip(steps.tolist(), values[:, :, unit], strict=True):
                point = {"p15": float(p15), "p50": float(p50), "p85": float(p85)}
                yield {
                    "mode": mode,
                    "layer": layer,
                    "rank": rank,
                    "unit": unit,
                    "step": step,
                } | point


def write(evidence: Evidence, folder: Path) -> None:
    """Write the three tables as `make publish` commits them."""
    for name in TABLES:
        write_table(folder / name, getattr(evidence, name.split(".")[0]))


def read(folder: Path) -> Evidence:
    """Read what `write` wrote. Raises a UserError when nothing was published there."""
    return Evidence(*(read_table(folder / name) for name in TABLES))
