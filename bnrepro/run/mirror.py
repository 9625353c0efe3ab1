"""The W&B mirror of a run: its rows as flat charts that overlay the arms of an experiment.

A run's group is its experiment and scale, its job type is its arm; the x axis is the training
step. Activation inputs go there as histograms; percentiles of single units stay in the record.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from bnrepro.training.probes import HISTOGRAM_EDGES
from bnrepro.wandb_sink import Histogram, Sink, open_sink
from bnrepro.wandb_sink import check as check


def open_mirrors(cfg: Any, seeds: Sequence[int], arm: str) -> list[Sink]:
    """One sink a seed; the null twin where W&B is off or fails."""
    config = OmegaConf.to_container(OmegaConf.structured(cfg))
    return [
        open_sink(
            cfg.wandb,
            name=f"{arm}/seed-{seed}",
            group=f"{cfg.experiment}/{cfg.scale}",
            job_type=arm,
            tags=[cfg.experiment, cfg.scale, arm, f"seed-{seed}"],
            config={**config, "seed": seed},  # type: ignore[dict-item]
        )
        for seed in seeds
    ]


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metrics.jsonl as W&B charts it: `grad_norm/hidden1`, `inputs/hidden1`, …"""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key == "histogram":
            flat |= {f"inputs/{k}": Histogram(v, HISTOGRAM_EDGES) for k, v in value.items()}
        elif key != "percentiles" and isinstance(value, Mapping):
            flat |= {f"{key}/{inner}": number for inner, number in value.items()}
        elif key != "percentiles":
            flat[key] = value
    return flat
