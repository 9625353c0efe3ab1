"""From runs to committed evidence: results/<experiment>/<scale>/.

    python -m scripts.publish mnist [scale=paper]
    python -m scripts.publish inception scale=paper data.root=imagenet processes=8

Only finished runs of clean commits and unmodified named configs on the real data set are
published, never a smoke run. Where the data lies, and how many processes shared a run, does not
modify a config. An arm that has no finished run here keeps the rows it has published before, where
its config is still the named one. Commit what it writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro import ROOT
from bnrepro.cli import arguments, guard
from bnrepro.config.identity import config_hash
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, read, write
from bnrepro.evidence.tables import Row
from bnrepro.experiment import find
from bnrepro.plots.render import render
from bnrepro.run.arms import compose_arms

TAKEN = ("scale", "data.root", "data.cache", "results", "processes")


def main() -> None:
    """Check the runs, write the evidence, draw its figures."""
    stem, *overrides = arguments("an experiment to publish, and its scale")
    if any(o.split("=")[0] not in TAKEN for o in overrides):
        raise UserError(
            f"publish takes {', '.join(TAKEN)} only: evidence comes from unmodified named configs"
        )
    experiment, arms = find(stem), compose_arms(stem, overrides)
    if arms.scale == "smoke":
        raise UserError("scale=smoke is for tests: it is never published")
    target = ROOT / "results" / stem / arms.scale
    before = read(target) if (target / "runs.csv").exists() else Evidence()
    evidence = with_published(experiment.gather(arms.folders, arms.seeds), before, list(arms.cfgs))
    hashes = {v: config_hash(cfg, arms.data.checksum) for v, cfg in arms.cfgs.items()}
    for row in evidence.runs:
        check(row, hashes, arms.cfgs)
    if missing := lacking(evidence, arms.cfgs, arms.seeds):
        raise UserError(f"{stem}: no finished run of {', '.join(missing)}")
    forget_later_criteria(evidence, before)
    write(evidence, target)
    for path in render(experiment, read(target), target):
        print(path.relative_to(ROOT))


def with_published(evidence: Evidence, before: Evidence, variants: Sequence[str]) -> Evidence:
    """Beside what was gathered, the published rows of the arms of which nothing was."""
    gathered = evidence.variants
    kept = [v for v in before.variants if v in variants and v not in gathered]
    if not gathered or not kept:
        return evidence
    print(f"as published before: {', '.join(kept)}")
    tables: dict[str, list[Row]] = {}
    for name in dict.fromkeys([*evidence.tables, *before.tables]):
        tables[name] = evidence.tables.get(name, [])
        if name != "criteria":  # `forget_later_criteria` looks at those of before
            published = before.tables.get(name, [])
            rows = [row for row in published if row["variant"] in kept] + tables[name]
            tables[name] = sorted(rows, key=lambda row: variants.index(row["variant"]))
    return Evidence(**tables)


def forget_later_criteria(evidence: Evidence, before: Evidence) -> None:
    """Drop the criteria that came after what was published, if a run of that was made anew.

    Its values were known before: a claim stated since then is stated after the runs.
    """
    old, new = (
        {(row["variant"], row.get("seed"), row["config_hash"]) for row in each.runs}
        for each in (before, evidence)
    )
    if old & new:
        first = before.criteria
        evidence.tables["criteria"] = [row for row in evidence.criteria if row in first]


def lacking(evidence: Evidence, cfgs: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    """The arms, or the seeds of arms, that evidence must have and has not."""
    found = {(row["variant"], row.get("seed")) for row in evidence.runs}
    missing = []
    for variant, cfg in cfgs.items():
        wanted = [None] if cfg.ONE_RECORD else seeds
        missing += [(variant, seed) for seed in wanted if (variant, seed) not in found]
    return [variant if seed is None else f"{variant} seed {seed}" for variant, seed in missing]


def check(row: Mapping[str, Any], hashes: Mapping[str, str], cfgs: Mapping[str, Any]) -> None:
    """Raise a UserError unless the run may become evidence."""
    variant = row["variant"]
    where = f"{variant}, seed {row.get('seed', 'all')}"
    if row["commit"] is None or row["dirty"]:
        raise UserError(f"{where}: made from uncommitted code; commit, then run it again")
    if row["config_hash"] != hashes[variant]:
        raise UserError(f"{where}: made with another config than the named one; run it again")
    if row["data"] != cfgs[variant].data.name:
        raise UserError(f"{where}: made with {row['data']}, not {cfgs[variant].data.name}")


if __name__ == "__main__":
    guard(main)
