"""Section 4.2: the training runs of Figures 2 and 3."""

import logging
from pathlib import Path

from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.images import ImageConfig
from bnrepro.config.schema import seed_list
from bnrepro.data import open_images
from bnrepro.run import processes
from bnrepro.run.device import set_up_torch
from bnrepro.run.mirror import check
from bnrepro.run.tensorboard import check_tensorboard
from bnrepro.training.image_runs import train_seed

log = logging.getLogger(__name__)


def run(cfg: ImageConfig) -> None:
    """Train the seeds that are not finished, one after the other."""
    device = set_up_torch(cfg)
    check(cfg.wandb)
    check_tensorboard(cfg.tensorboard)
    cfg.processes = processes.join(device, cfg.processes)
    data = open_images(cfg.data)
    folder, identity = group_folder(cfg, data.name), config_hash(cfg, data.checksum)
    log.info("%s: data %s from %s", folder, data.name, data.source)
    seeds = seed_list(cfg.seeds)
    with processes.together():
        processes.agree(config=config_hash(cfg, ""), data=data.checksum, seeds=seeds)
        for seed in seeds:
            train_seed(cfg, seed, data, device, Path(folder), identity)
