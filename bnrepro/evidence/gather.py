"""Evidence from the records of finished runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bnrepro.evidence import drift
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.tables import Row
from bnrepro.run import record

Folders = Mapping[str, Path]  # of each arm
NUMBER = (int, float)
TRAINED = {  # what figures need of the summary of a trained network
    "outcome": str,
    "steps": NUMBER,
    "wall_s": NUMBER,
    "best": dict,
    "final": (dict, type(None)),
    "first_non_finite_step": (*NUMBER, type(None)),
}
META = {  # what evidence needs of meta.json
    "data": dict,
    "versions": dict,
    "hardware": str,
    "threads": int,
    "commit": (str, type(None)),
    "dirty": (bool, type(None)),
}


def gather_runs(folders: Folders, seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of trained networks: a folder an arm, all its finished seeds or those asked for.

    Tables: `runs`; `curves`, a row a run and evaluated step; `units`, percentiles of units of the
    first seed: the typical one of every probed layer, and of the last layer those of the sheet;
    `drifts`, a row a run and unit, of which `runs` has the medians.
    """
    runs: list[Row] = []
    curves: list[Row] = []
    units: list[Row] = []
    drifts: list[Row] = []
    finished = [(v, s, run) for v, f in folders.items() for s, run in _finished(f, seeds)]
    for variant, seed, folder in finished:
        rows = record.read_rows(folder / "metrics.jsonl")
        key = {"variant": variant, "seed": seed}
        probed = [r for r in rows if r.get("percentiles")]
        layers = list(probed[0]["percentiles"][modes(probed[0])[0]]) if probed else []
        if all(run["variant"] != variant for run in runs):  # the arm's first seed
            units.extend(key | row for row in _typical_units(probed, layers))
        runs.append(key | run_row(folder) | _drifts(probed, layers))
        curves.extend(key | _curve_row(row, layers) for row in rows)
        drifts.extend(key | row for row in _unit_drifts(probed, layers))
    criteria = common_criteria([folder for *_, folder in finished])
    return Evidence(runs=runs, criteria=criteria, curves=curves, units=units, drifts=drifts)


def gather_cells(folders: Folders, seeds: Sequence[int] | None = None) -> Evidence:
    """Evidence of a finished sweep: its rows in a table for each `part`, that is, for each shape.

    The seeds of a sweep are part of its config, so `seeds` selects nothing.
    """
    (variant, folder), *_ = folders.items()
    if not record.has_result(folder):
        return Evidence(runs=[])
    tables: dict[str, list[Row]] = {}
    for row in record.read_rows(folder / "metrics.jsonl"):
        tables.setdefault(row.pop("part"), []).append(row)
    summary = record.read_summary(folder) or {}
    cost = {k: summary.get(k) for k in ("wall_s", "cpu_s")}  # cpu_s: seconds of all threads
    run = {"variant": variant, **provenance(folder), **cost}
    return Evidence(runs=[run], criteria=common_criteria([folder]), **tables)


def common_criteria(folders: Sequence[Path]) -> list[Row]:
    """The claims' hashes that all these records hold: fixed before every one of the runs."""
    summaries = [record.read_json(folder / "summary.json") or {} for folder in folders]
    each = [set(summary.get("criteria", {}).items()) for summary in summaries]
    common = set.intersection(*each) if each else set()
    return [{"claim": claim, "hash": value} for claim, value in sorted(common)]


def provenance(folder: Path) -> Row:
    """Where a record's numbers come from. Raises a UserError where it does not say all of it."""
    summary, meta = record.read_summary(folder) or {}, record.read_meta(folder, **META)
    record.require(folder / "meta.json", meta["data"], name=str, checksum=str)
    record.require(folder / "meta.json", meta["versions"], torch=str)
    return {
        "data": meta["data"]["name"],
        "data_checksum": meta["data"]["checksum"],
        "config_hash": summary["config_hash"],
        "commit": meta["commit"],
        "dirty": meta["dirty"],
        "hardware": meta["hardware"],
        "threads": meta["threads"],
        "torch": meta["versions"]["torch"],
        "peak_mb": summary.get("peak_mb"),
    }


def merged(rows: Sequence[Row]) -> Row:
    """The commits that records come from, each once, and whether any was made from other code.

    A record that was continued names several commits itself.
    """
    commits = [row["commit"] for row in rows]
    each = dict.fromkeys(" ".join(commits).split()) if all(commits) else ()
    dirty = any(row["dirty"] is not False for row in rows)
    return {"commit": " ".join(each) or None, "dirty": dirty}


def run_row(folder: Path) -> Row:
    """How a finished run was made and how it ended, from its summary, meta data and config.

    Raises a UserError for a record that lacks some of it, as those of earlier versions may.
    """
    summary, meta = record.read_summary(folder) or {}, record.read_meta(folder, group=list)
    cfg = record.read_config(folder, optim=dict, model=dict)
    final, best = summary["final"] or {}, summary["best"]
    return {
        **{k: summary[k] for k in ("status", "outcome", "first_non_finite_step", "steps")},
        "final_test_accuracy": final.get("test_accuracy"),
        "final_test_accuracy_population": final.get("test_accuracy_population"),
        "final_test_accuracy_all": final.get("test_accuracy_all"),
        **({"final_train_accuracy": final["train_accuracy"]} if "train_accuracy" in final else {}),
        "final_train_loss": final.get("train_loss"),
        "best_test_accuracy": best["test_accuracy"],
        "best_step": best["step"],
        "chance_accuracy": summary.get("chance_accuracy"),
        "non_finite_parameters": summary.get("non_finite_parameters"),
        "wall_s": summary["wall_s"],
        "trained_together": len(meta["group"]),
        "processes": meta.get("processes", 1),
        **{k: cfg["optim"].get(k) for k in ("lr", "multiplier", "batch", "replicas")},
        **{k: cfg["model"].get(k) for k in ("init", "init_std", "norm", "activation")},
        **provenance(folder),
    }


def _finished(folder: Path, seeds: Sequence[int] | None) -> list[tuple[int, Path]]:
    """Seeds and folders of an arm's finished runs that are whole."""
    runs = record.seed_folders(folder).items()
    chosen = [(seed, run) for seed, run in runs if seeds is None or seed in seeds]
    return [(seed, run) for seed, run in chosen if record.has_result(run, **TRAINED)]


def modes(row: Row) -> list[str]:
    """The statistics that BN normalised with where percentiles were taken: training, inference."""
    return list(row.get("percentiles", ()))


def _drifts(probed: list[Row], layers: list[str]) -> Row:
    return {
        f"drift_{name}_{mode}_{layer}": round(value, 6)
        for mode in (modes(probed[0]) if probed else ())
        for layer in layers
        for name, value in drift.layer_drift(probed, mode, layer).items()
        if np.isfinite(value)
    }


def _unit_drifts(probed: list[Row], layers: list[str]) -> Iterator[Row]:
    """Every unit's drifts; none of a layer that was never finite."""
    for layer in layers:
        columns = {
            f"{name}_{mode}": values
            for mode in modes(probed[0])
            for name, values in drift.unit_drift(*drift.series(probed, mode, layer)).items()
            if len(values) and np.isfinite(values).all()
        }
        for unit, values in enumerate(zip(*columns.values(), strict=True)):
            yield {
                "layer": layer,
                "unit": unit,
                **dict(zip(columns, (round(float(value), 5) for value in values), strict=True)),
            }


def _curve_row(row: Row, layers: list[str]) -> Row:
    plain = {k: v for k, v in row.items() if not isinstance(v, dict)}
    for name in ("grad_norm", "saturated"):
        plain |= {f"{name}_{layer}": value for layer, value in row.get(name, {}).items()}
    for mode in modes(row):
        for layer in layers:
            if percentiles := row["percentiles"][mode].get(layer):  # else not finite
                low, middle, high = np.array(percentiles)
                plain[f"median_{mode}_{layer}"] = round(float(middle.mean()), 5)
                plain[f"spread_{mode}_{layer}"] = round(float((high - low).mean()), 5)
    return plain


def _typical_units(probed: list[Row], layers: list[str]) -> Iterator[Row]:
    """Percentiles of the units of chosen ranks by drift in the first mode recorded."""
    for layer in layers:
        order = drift.units_by_drift(probed, modes(probed[0])[0], layer)
        sheet = drift.SHEET_RANKS if layer == layers[-1] else ()
        for rank in sorted({drift.TYPICAL_RANK, *sheet} if order else ()):
            unit = drift.at_rank(order, rank)
            for mode in modes(probed[0]):
                key: dict[str, Any] = {"mode": mode, "layer": layer, "rank": rank, "unit": unit}
                steps, values = drift.series(probed, mode, layer)
                for step, layer_values in zip(steps.tolist(), values, strict=True):
                    low, middle, high = layer_values[:, unit].tolist()
                    yield key | {"step": step, "p15": low, "p50": middle, "p85": high}
