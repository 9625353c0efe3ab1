"""A finished run's network, with its moving averages or with Algorithm 2's statistics."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from bnrepro.config.images import ImageConfig
from bnrepro.data import open_images
from bnrepro.data.images import open_source
from bnrepro.errors import UserError
from bnrepro.experiment import find
from bnrepro.models.exported import restore
from bnrepro.models.inception import Inception
from bnrepro.norm import population_statistics
from bnrepro.run import checkpoint
from bnrepro.run.record import has_result, read_config, read_summary
from bnrepro.seeding import derived
from bnrepro.training.images import centred

Run = tuple[Inception, ImageConfig]


def read_run(folder: Path) -> Run:
    """The network of a finished run `…/seed-<k>`, in eval mode, and the run's config.

    Raises a UserError for a folder without one, and for a run that lost its finite numbers.
    """
    if not has_result(folder):
        raise UserError(f"{folder}: no finished run; name a folder seed-<number> of one")
    cfg = _config(folder)
    summary = read_summary(folder) or {}
    if summary["status"] != "ok":
        raise UserError(f"{folder}: the run diverged; its network gives no finite numbers")
    state = _state(folder, summary["config_hash"])
    network = restore(state["spec"], state["network"])
    network.class_names = state["class_names"]
    return network, cfg


def _config(folder: Path) -> ImageConfig:
    """The config of a run as an object."""
    values = read_config(folder)
    kind = find(str(values.get("experiment"))).config
    if not issubclass(kind, ImageConfig):
        raise UserError(f"{folder}: a run of {values['experiment']}; Inception networks alone are"
                        " kept as files")  # fmt: skip
    cfg: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), values))
    return cfg


def _state(folder: Path, identity: str) -> dict[str, Any]:
    path = folder.parent / f"checkpoint-{folder.name}.pt"
    state = checkpoint.load(path, identity, [], False) if path.exists() else None
    if state is None or "spec" not in state:
        reason = "lacks the network's shape" if state else "not there, or damaged"
        raise UserError(f"{path}: {reason}; run the experiment again with force=true")
    return state


def estimate(network: Inception, cfg: ImageConfig, seed: int, batches: int) -> None:
    """Algorithm 2: replace the moving averages by averages over training mini-batches.

    The mini-batches are the seed's first ones, distorted as in training.
    """
    if network.spec.norm != "batch":
        return
    data, seed = open_images(cfg.data), derived(seed, cfg.draws)
    source = open_source(data, cfg.pictures, cfg.optim.batch, seed, torch.device("cpu"))
    population_statistics(network, (centred(source.batch(i)[0]) for i in range(batches)))
