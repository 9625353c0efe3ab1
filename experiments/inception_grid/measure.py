"""The searches of Section 4.2: every value of every round a run of its own."""

import copy
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.schema import seed_list
from bnrepro.data import open_images
from bnrepro.run.device import set_up_torch
from bnrepro.run.locks import locked
from bnrepro.run.record import Record, read_summary
from bnrepro.run.tensorboard import check_tensorboard
from bnrepro.training.image_runs import train_seed
from bnrepro.training.search import Cell, Scores, describe, search
from experiments.inception_grid import KEYS, InceptionGridConfig

log = logging.getLogger(__name__)


def run(cfg: InceptionGridConfig) -> None:
    """Make one search and record every round's scores; the rule reads off what follows."""
    check_tensorboard(cfg.tensorboard)
    data = open_images(cfg.data)
    folder = group_folder(cfg, data.name)
    log.info("%s", folder)
    (key,) = cfg.grid.axes

    def train_round(name: str, cells: Sequence[Cell], share: float) -> Scores:
        return train_cells(cfg, folder / name, cells, share)

    with locked([folder], cfg.force):
        result = search(cfg.grid, train_round)
        identity = config_hash(cfg, data.checksum)
        summary = {"status": "ok", "config_hash": identity, "criteria": criteria(cfg.experiment)}
        Record(folder).finish(summary | describe(result, [key]))
    finals = sorted(result.finals.items())
    shown = ", ".join(f"{value:g}: {score:.4f}" for (value,), score in finals)
    log.info("%s: last accuracy by %s: %s", folder, key, shown)


def train_cells(
    cfg: InceptionGridConfig, folder: Path, cells: Sequence[Cell], share: float
) -> Scores:
    """Mean last accuracy of each value's runs with a share of the budget; 0 for a diverged one."""
    seeds = seed_list(cfg.seeds)
    if cfg.grid.jobs > 1:
        os.environ["TTY_COMPATIBLE"] = "0"  # bars of several processes would overwrite one another
    jobs = [(cell_config(cfg, v, share), s, folder / f"{v:g}") for (v,) in cells for s in seeds]
    Parallel(n_jobs=cfg.grid.jobs)(delayed(train_cell)(*job) for job in jobs)
    scores = {}
    for cell in cells:
        each = [last_accuracy(folder / f"{cell[0]:g}" / f"seed-{seed}") for seed in seeds]
        scores[cell] = sum(each) / len(each)
    return scores


def cell_config(cfg: InceptionGridConfig, value: float, share: float) -> InceptionGridConfig:
    """The config of one value's runs."""
    cell = copy.deepcopy(cfg)
    (key,) = cfg.grid.axes
    setattr(getattr(cell, KEYS[key]), key, value)
    cell.budget.steps = round(share * cfg.budget.steps)
    return cell


def train_cell(cfg: InceptionGridConfig, seed: int, folder: Path) -> None:
    """One value's run of one seed, in a process of its own."""
    device, data = set_up_torch(cfg), open_images(cfg.data)
    train_seed(cfg, seed, data, device, folder, config_hash(cfg, data.checksum))


def last_accuracy(folder: Path) -> float:
    """A finished run's last accuracy on all images; 0 where it diverged."""
    summary = read_summary(folder) or {}
    return summary["final"]["test_accuracy_all"] if summary["status"] == "ok" else 0.0
