"""The settings Section 4.2 does not give for a short run: the base rate and the speed of its decay.

    make inception-grid                                 all three searches, then the figure
    python -m experiments.inception_grid variant=rate   one of them: rate, fast, multiplier

The rule that reads them stands in `configs/inception_grid.yaml`. Every value is an ordinary run of
`experiments.inception`, `grid.jobs` of them side by side; a finished one is not run again.
"""

import copy
import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from joblib import Parallel, delayed

from bnrepro.cli import application, set_up_torch
from bnrepro.config.claims import criteria_hash
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.images import InceptionGridConfig
from bnrepro.config.validation import seed_list
from bnrepro.data import open_images
from bnrepro.run.record import Record, locked, read_summary
from bnrepro.training.search import best, beyond, top
from experiments.inception import __main__ as inception

log = logging.getLogger(__name__)
Scores = dict[float, float]


@dataclass(frozen=True)
class Search:
    """What all rounds share."""

    cfg: InceptionGridConfig
    checksum: str  # of the data set
    folder: Path
    rounds: dict[str, Scores] = field(default_factory=dict)  # what was trained, by name


@application("inception_grid")
def main(cfg: InceptionGridConfig) -> None:
    data = open_images(cfg.data)
    folder = group_folder(cfg, data.name)
    log.info("%s: data %s from %s", folder, data.name, data.source)
    with locked([folder]):
        choose(Search(cfg, data.checksum, folder))


def choose(search: Search) -> None:
    """Short runs of every value, the grid growing at its edge, then the finalists in full."""
    grid = search.cfg.grid
    share = 1.0 if grid.finalists is None else grid.short
    left = iter(range(1, grid.max_extensions + 1))
    scores = train_round(search, "grid", grid.values, share)
    while (values := _more(search, scores, scores)) and (number := next(left, None)):
        scores |= train_round(search, f"extension-{number}", values, share)
    finals = scores
    if grid.finalists is not None:
        finals = train_round(search, "finalists", top(scores, grid.finalists), 1.0)
        while (values := _more(search, scores, finals)) and (number := next(left, None)):
            scores |= train_round(search, f"extension-{number}", values, share)
            finals |= train_round(search, f"finalist-{number}", values, 1.0)
    finish(search, finals, at_edge=bool(_more(search, scores, finals)))


def _more(search: Search, scores: Scores, judged: Scores) -> list[float]:
    """The value beyond the edge at which the best of the judged lies; none when it lies inside."""
    return beyond(best(judged), sorted(scores), search.cfg.grid.factor)


def finish(search: Search, finals: Scores, at_edge: bool) -> None:
    """Record every round's scores; what follows from them is read off by the rule."""
    value = best(finals)
    summary = {
        "status": "ok",
        "config_hash": config_hash(search.cfg, search.checksum),
        "criteria_hash": criteria_hash(search.cfg.experiment),
        "at_edge": at_edge,
        "best": {"value": value, "score": finals[value]},
        "rounds": {n: {f"{v:g}": s for v, s in r.items()} for n, r in search.rounds.items()},
    }
    Record(search.folder).finish(summary)
    shown = ", ".join(f"{v:g}: {score:.4f}" for v, score in sorted(finals.items()))
    log.info("%s: last accuracy by %s: %s", search.folder, search.cfg.grid.key, shown)


def train_round(search: Search, name: str, values: Sequence[float], share: float) -> Scores:
    """Mean last accuracy of each value's runs with a share of the budget; 0 for a diverged one."""
    cells = {v: cell(search.cfg, v, share) for v in values}
    folders = {v: search.folder / name / f"{v:g}" for v in values}
    jobs = [(cells[v], seed, folders[v]) for v in values for seed in seed_list(search.cfg.seeds)]
    Parallel(n_jobs=search.cfg.grid.jobs)(delayed(train_cell)(*job) for job in jobs)
    scores = {}
    for value, folder in folders.items():
        each = [_score(folder / f"seed-{seed}") for seed in seed_list(search.cfg.seeds)]
        scores[value] = sum(each) / len(each)
    search.rounds[name] = dict(scores)
    return scores


def cell(cfg: InceptionGridConfig, value: float, share: float) -> InceptionGridConfig:
    """The config of one value's runs."""
    own = copy.deepcopy(cfg)
    *path, name = cfg.grid.key.split(".")
    setattr(functools.reduce(getattr, path, own), name, value)
    own.budget.steps = round(share * cfg.budget.steps)
    return own


def train_cell(cfg: InceptionGridConfig, seed: int, folder: Path) -> None:
    device, data = set_up_torch(cfg), open_images(cfg.data)
    inception.run(cfg, seed, data, device, folder, config_hash(cfg, data.checksum))


def _score(folder: Path) -> float:
    summary = read_summary(folder) or {}
    return summary["final"]["test_accuracy_all"] if summary["status"] == "ok" else 0.0


if __name__ == "__main__":
    main()
