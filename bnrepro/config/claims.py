"""The claims of the paper and their criteria, as `configs/claims.yaml` states them.

A criterion is committed before the runs it judges; its hash goes into their records.
"""

from typing import Any

import yaml

from bnrepro.config import ROOT
from bnrepro.config.identity import digest

CLAIMS = ROOT / "configs" / "claims.yaml"
WORDS = ("section", "claim", "paper", "kind", "not_shown", "reason")  # they decide nothing


def read_claims(experiment: str | None = None) -> list[dict[str, Any]]:
    """All claims, or those that one experiment decides."""
    claims = yaml.safe_load(CLAIMS.read_text())
    return [c for c in claims if experiment in (None, c["experiment"])]


def criteria_hash(experiment: str) -> str:
    """Changes whenever anything that decides a verdict changes: metric, criterion, n, arms …"""
    claims = read_claims(experiment)
    return digest([{k: v for k, v in c.items() if k not in WORDS} for c in claims])
