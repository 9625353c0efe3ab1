"""From runs to committed evidence: results/<experiment>/<scale>/.

    python -m scripts.publish mnist [scale=paper]
    python -m scripts.publish inception scale=paper data.root=imagenet processes=8

Only finished runs of clean commits and unmodified named configs on the real data set are
published, never a smoke run. Where the data lies, and how many processes shared a run, does not
modify a config. Commit what it writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro import ROOT
from bnrepro.cli import arguments, guard
from bnrepro.config.identity import config_hash
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, read, write
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
    evidence = experiment.gather(arms.folders, arms.seeds)
    hashes = {v: config_hash(cfg, arms.data.checksum) for v, cfg in arms.cfgs.items()}
    for row in evidence.runs:
        check(row, hashes, arms.cfgs)
    if missing := lacking(evidence, arms.cfgs, arms.seeds):
        raise UserError(f"{stem}: no finished run of {', '.join(missing)}")
    target = ROOT / "results" / stem / arms.scale
    write(evidence, target)
    for path in render(experiment, read(target), target):
        print(path.relative_to(ROOT))


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
