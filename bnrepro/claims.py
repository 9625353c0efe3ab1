"""The claims of the paper and their criteria, as `configs/claims.yaml` states them.

A criterion is committed before the runs it judges; its hash goes into their records.
"""

from typing import Any

import yaml

from bnrepro.config import ROOT
from bnrepro.identity import digest

CLAIMS = ROOT / "configs" / "claims.yaml"


def read_claims(experiment: str | None = None) -> list[dict[str, Any]]:
    """All claims, or those that one experiment decides."""
    claims = yaml.safe_load(CLAIMS.read_text())
    return [c for c in claims if experiment in (None, c["experiment"])]


def criteria_hash(experiment: str) -> str:
    """Changes whenever a metric, a criterion or n of the experiment's claims changes."""
    judged = ("id", "metric", "criterion", "n")
    return digest([{key: claim[key] for key in judged} for claim in read_claims(experiment)])
