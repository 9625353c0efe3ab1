"""A sweep: many small measurements, the cells, that make one record.

Exact experiments and grids leave no folder a cell and no checkpoint: their rows are in one
`metrics.jsonl`, and an interrupted sweep goes on after its last complete cell.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset, open_dataset
from bnrepro.run.device import set_up_torch
from bnrepro.run.loop import marking
from bnrepro.run.progress import Bar
from bnrepro.run.provenance import describe_run
from bnrepro.run.record import Record, is_finished, locked

log = logging.getLogger(__name__)
Row = dict[str, Any]
MeasureCell = Callable[[Any, Dataset, Any, torch.device], Iterable[Row]]


def run_cells(cfg: Any, cells: Sequence[Any], measure: MeasureCell) -> Path:
    """Measure every cell in turn and record its rows; returns the record's folder.

    `measure(cfg, data, cell, device)` gives the rows of one cell and depends on nothing else; a
    row's `part` says which shape it has, and `cell`, added here, counts the cells from 1.
    """
    device, data = set_up_torch(cfg), open_dataset(cfg.data)
    identity = config_hash(cfg, data.checksum)
    record = Record(group_folder(cfg, data.name), "cell")
    with locked([record.folder]):
        if is_finished(record.folder, identity, cfg.force):
            log.info("%s: finished before", record.folder)
            return record.folder
        done = 0 if cfg.force else cells_done(record, identity)
        meta = describe_run(device, data.identity(), seed_list(cfg.seeds))
        record.begin(cfg, {**meta, "hash": identity, "total": len(cells)}, done)
        start, cpu_start = time.perf_counter(), time.process_time()
        bar = Bar(str(record.folder), len(cells), done, "cell")
        with marking([record], identity), bar:
            for number, cell in enumerate(cells[done:], start=done + 1):
                for row in measure(cfg, data, cell, device):
                    record.log({"cell": number, **row})
                bar.update(number)
            record.finish(
                {
                    "status": "ok",
                    "config_hash": identity,
                    "criteria": criteria(cfg.experiment),
                    "rows": len(record.rows()),
                    "wall_s": round(time.perf_counter() - start, 1),
                    "cpu_s": round(time.process_time() - cpu_start, 1),  # of all threads
                    "cells_before": done,  # measured by an earlier, interrupted process
                }
            )
    log.info("%s", record.folder)
    return record.folder


def cells_done(record: Record, identity: str) -> int:
    """How many cells an interrupted sweep of this very config has surely completed.

    The last cell on record may lack rows, so it is measured again.
    """
    if record.read_meta().get("hash") != identity:
        return 0
    return max((row["cell"] for row in record.rows()), default=1) - 1
