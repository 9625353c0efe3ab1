"""The claims of the paper and their criteria, as `configs/<experiment>/claims.yaml` states them.

Each claim has a hash of its own, which goes into the records of the runs that it judges. So a claim
that is added leaves the evidence of the others as it is, and a record proves which criteria were
fixed before its run.
"""

from typing import Any

import yaml

from bnrepro import ROOT
from bnrepro.config.identity import digest

# what a claim says without deciding its verdict
WORDS = ("section", "claim", "paper", "kind", "unit", "not_shown", "reason", "experiment")
Claim = dict[str, Any]


def read_claims(experiment: str) -> list[Claim]:
    """The claims that an experiment decides, each with the experiment's name."""
    path = ROOT / "configs" / experiment / "claims.yaml"
    if not path.exists():
        return []
    return [{**c, "experiment": experiment} for c in yaml.safe_load(path.read_text("utf-8"))]


def criterion_hash(claim: Claim) -> str:
    """Changes with whatever decides the claim's verdict: metric, criterion, n, arms …"""
    return digest({k: v for k, v in claim.items() if k not in WORDS})


def criteria(experiment: str) -> dict[str, str]:
    """The hash of every claim of an experiment, by the claim's id."""
    return {claim["id"]: criterion_hash(claim) for claim in read_claims(experiment)}
