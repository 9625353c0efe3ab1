"""A sweep: many small measurements that make one record, a row each.

Exact experiments and grids of cells leave no folder a cell and no checkpoint: their rows are in
one `metrics.jsonl`, and an interrupted sweep takes up after its last complete row.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from bnrepro.config.claims import criteria_hash
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset
from bnrepro.run.loop import Bar, marking
from bnrepro.run.record import Record, is_finished, locked, meta

log = logging.getLogger(__name__)
Row = dict[str, Any]
NO_DATA = {"name": "none", "source": "no data set", "sizes": {}, "checksum": "none"}


def run_sweep(
    cfg: Any,
    cells: Sequence[Any],
    measure: Callable[[Any], list[Row]],
    device: torch.device,
    data: Dataset | None = None,
) -> Path:
    """Measure every cell in turn and record its rows; returns the record's folder.

    `measure(cell)` returns the rows of one cell and depends on nothing but the config and the
    cell; a row's `step`, which orders the record, is the cell's number, from 1.
    """
    identity = config_hash(cfg, data.checksum if data else NO_DATA["checksum"])  # type: ignore[arg-type]
    record = Record(group_folder(cfg, data.name if data else cfg.data.name))
    with locked([record.folder]):
        if is_finished(record.folder, identity, cfg.force):
            log.info("%s: stands already", record.folder)
            return record.folder
        done = 0 if cfg.force else cells_done(record, identity)
        description = data.identity() if data else NO_DATA
        record.begin(
            cfg, {**meta(device, description, seed_list(cfg.seeds)), "hash": identity}, done
        )
        start, cpu_start = time.perf_counter(), time.process_time()
        with marking([record], identity), Bar(str(record.folder), len(cells), done) as bar:
            for number, cell in _remaining(cells, done):
                for row in measure(cell):
                    record.log({"step": number, **row})
                bar.update(number, "")
            record.finish(
                {
                    "status": "ok",
                    "config_hash": identity,
                    "criteria_hash": criteria_hash(cfg.experiment),
                    "rows": len(record.rows()),
                    "wall_s": round(time.perf_counter() - start, 1),
                    "cpu_s": round(time.process_time() - cpu_start, 1),  # of all threads
                    "cells_before": done,  # measured by an earlier, interrupted process
                }
            )
    return record.folder


def _remaining(cells: Sequence[Any], done: int) -> Iterator[tuple[int, Any]]:
    return ((n, cell) for n, cell in enumerate(cells, start=1) if n > done)


def cells_done(record: Record, identity: str) -> int:
    """How many cells an interrupted sweep of this very config has surely completed.

    The last cell on record may lack rows, so it is measured again.
    """
    if record.read_meta().get("hash") != identity:
        return 0
    return max((row["step"] for row in record.rows()), default=1) - 1
