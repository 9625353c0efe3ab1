"""A sweep: many small measurements, the cells, that make one record.

Exact experiments and grids leave no folder a cell: their rows are in one `metrics.jsonl`. Their
checkpoint says where each cell's rows end, and an interrupted sweep goes on after the last cell
whose rows, and all before them, are whole. With `jobs=N`, N cells are measured side by side, each
in a process with this one's number of threads: the same rows in the same order.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from joblib import Parallel, delayed

from bnrepro.config.claims import criteria
from bnrepro.config.identity import config_hash, group_folder
from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset, open_dataset
from bnrepro.run import checkpoint
from bnrepro.run.device import set_up_torch
from bnrepro.run.locks import locked
from bnrepro.run.loop import marking
from bnrepro.run.progress import Bar
from bnrepro.run.provenance import continued, describe_run
from bnrepro.run.record import NO_ROWS, Mark, Record, forced, is_finished

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
Row = dict[str, Any]
Cell = Callable[[Any, Dataset, torch.device], Iterable[Row]]  # one that measures itself
MeasureCell = Callable[[Any, Dataset, Any, torch.device], Iterable[Row]]


class Spent(NamedTuple):
    """What a record has cost so far, interrupted processes included."""

    wall_s: float = 0.0
    cpu_s: float = 0.0  # of all threads and processes


def call(cfg: Any, data: Dataset, cell: Cell, device: torch.device) -> Iterable[Row]:
    """The rows of a cell that measures itself."""
    return cell(cfg, data, device)


def run_cells(cfg: Any, cells: Sequence[Any], measure: MeasureCell = call) -> Path:
    """Measure every cell in turn and record its rows; returns the record's folder.

    `measure(cfg, data, cell, device)` gives the rows of one cell and depends on nothing else;
    without it, `cell(cfg, data, device)` does. A row's `part` says which shape it has, and `cell`,
    added here, counts the cells from 1.
    """
    device, data = set_up_torch(cfg), open_dataset(cfg.data)
    identity = config_hash(cfg, data.checksum)
    record = Record(group_folder(cfg, data.name))
    with locked([record.folder], cfg.force):
        force = forced(cfg, record.folder)
        if is_finished(record.folder, identity, force):
            log.info("%s: finished before", record.folder)
            return record.folder
        meta = describe_run(device, data.identity(), seed_list(cfg.seeds)) | {"total": len(cells)}
        ends, before = begin(cfg, record, identity, meta, force)
        done = len(ends)
        start, cpu_start = time.perf_counter(), time.process_time()
        bar = Bar(str(record.folder), len(cells), done, "cell")
        cpu_apart = 0.0

        def spent() -> Spent:
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start + cpu_apart
            return Spent(before.wall_s + wall, before.cpu_s + cpu)

        with marking([record], identity), bar:
            for number, (rows, cpu) in enumerate(
                measured(cfg, data, cells[done:], measure, device), start=done + 1
            ):
                for row in rows:
                    record.log({"cell": number, **row})
                cpu_apart += cpu
                ends.append(record.mark())
                save(record, identity, ends, record.meta, spent())
                bar.update(number)
            record.finish(
                {
                    "status": "ok",
                    "config_hash": identity,
                    "criteria": criteria(cfg.experiment),
                    **{name: round(value, 1) for name, value in spent()._asdict().items()},
                }
            )
    log.info("%s", record.folder)
    return record.folder


def measured(
    cfg: Any, data: Dataset, cells: Sequence[Any], measure: MeasureCell, device: torch.device
) -> Iterator[tuple[Iterable[Row], float]]:
    """The rows of each cell in turn, and the processor seconds that other processes spent."""
    if cfg.jobs == 1:
        yield from ((measure(cfg, data, cell, device), 0.0) for cell in cells)
        return
    threads = torch.get_num_threads()
    work = (delayed(measure_apart)(cfg, threads, measure, cell) for cell in cells)
    yield from Parallel(n_jobs=cfg.jobs, return_as="generator")(work)


def measure_apart(
    cfg: Any, threads: int, measure: MeasureCell, cell: Any
) -> tuple[Iterable[Row], float]:
    """Measure one cell in a process of its own, as `measured` says."""
    start = time.process_time()
    device = set_up_torch(cfg)
    torch.set_num_threads(threads)
    rows = list(measure(cfg, open_dataset(cfg.data), cell, device))
    return rows, time.process_time() - start


def begin(
    cfg: Any, record: Record, identity: str, meta: dict[str, Any], force: bool
) -> tuple[list[Mark], Spent]:
    """Open the record after its last whole cell; where the rows before end, and what they cost."""
    state = checkpoint.load(record.folder / CHECKPOINT, identity, [record], force)
    ends: list[Mark] = []
    spent = Spent()
    if state is not None:
        spent = Spent(*state.get("spent", ()))
        ends = state["cells"][: record.whole(state["cells"])]
        meta = continued(record.folder, state["meta"], meta) if ends else meta
    save(record, identity, ends, meta, spent)
    record.begin(cfg, meta, ends[-1] if ends else NO_ROWS)
    return ends, spent


def save(
    record: Record, identity: str, ends: list[Mark], meta: Mapping[str, Any], spent: Spent
) -> None:
    """Write where the rows of each cell so far end, how they were made and what they cost."""
    state = {"config_hash": identity, "meta": meta, "cells": ends, "spent": list(spent)}
    checkpoint.save(record.folder / CHECKPOINT, state)
