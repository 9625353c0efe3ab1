"""From runs to committed evidence: results/<experiment>/<scale>/.

    python -m scripts.publish mnist [scale=paper]
    python -m scripts.publish inception scale=paper data.root=imagenet processes=8

Only finished runs of clean commits and unmodified named configs on the real data set are
published, never a smoke run. Where the data lies, and how many processes shared a run, does not
modify a config. Commit what it writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bnrepro.cli import arguments, guard
from bnrepro.config import ROOT
from bnrepro.config.identity import config_hash
from bnrepro.errors import UserError
from bnrepro.plots.render import render, reporter
from bnrepro.run.arms import arms

TAKEN = ("scale", "data.root", "data.cache", "results", "processes")


def main() -> None:
    experiment, *overrides = arguments("an experiment to publish, and its scale")
    if any(o.split("=")[0] not in TAKEN for o in overrides):
        raise UserError(
            f"publish takes {', '.join(TAKEN)} only: evidence comes from unmodified named configs"
        )
    own = arms(experiment, overrides)
    if own.scale == "smoke":
        raise UserError("scale=smoke is for tests: it is never published")
    report = reporter(experiment)
    evidence = report.gather(own.folders, own.seeds)
    hashes = {v: config_hash(cfg, own.data.checksum) for v, cfg in own.cfgs.items()}
    for row in provenance(evidence):
        check(row, hashes, own.cfgs)
    if missing := lacking(evidence, list(own.folders), own.seeds):
        raise UserError(f"{experiment}: no finished run of {', '.join(missing)}")
    target = ROOT / "results" / experiment / own.scale
    report.write(evidence, target)
    for path in render(report, report.read(target), target):
        print(path.relative_to(ROOT))


def provenance(evidence: Any) -> list[dict[str, Any]]:
    if hasattr(evidence, "winners"):
        return [{"variant": v, **row} for v, row in evidence.winners.items()]
    if hasattr(evidence, "provenance"):
        return [{"variant": v, **evidence.provenance} for v in evidence.variants]
    return list(evidence.runs)


def lacking(evidence: Any, variants: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """The arms, or the seeds of arms, that evidence must have and has not."""
    if not hasattr(evidence, "runs"):
        return [v for v in variants if v not in evidence.variants]
    found = {(row["variant"], row["seed"]) for row in evidence.runs}
    return [f"{v} seed {s}" for v in variants for s in seeds if (v, s) not in found]


def check(row: Mapping[str, Any], hashes: Mapping[str, str], cfgs: Mapping[str, Any]) -> None:
    """Raise a UserError unless the run may stand as evidence."""
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
