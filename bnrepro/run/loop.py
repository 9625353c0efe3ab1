"""The recorded loop: a trainer's rows go to run records, and a killed run resumes.

recording = Recording(…)
resume(trainer, recording, …)
with marking(records, identity):
    record_training(trainer, recording, measure, bar)
    … finish the records …
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from bnrepro.data import ImageSet
from bnrepro.run import checkpoint, processes
from bnrepro.run.mirror import Sink, flatten
from bnrepro.run.progress import Bar
from bnrepro.run.provenance import continued, describe_run
from bnrepro.run.ranks import leads
from bnrepro.run.record import NO_ROWS, Record

Row = dict[str, Any]
State = dict[str, Any]
Measure = Callable[[Tensor], list[Row]]  # of the losses since the last stop; a row a network


class Trainer(Protocol):
    """What a loop must offer to be recorded: `SlotTrainer` and `ImageTrainer` do."""

    step: int
    device: torch.device

    @property
    def active(self) -> list[int]:
        """The networks that still train."""

    @property
    def paper_step(self) -> float:
        """The step that records count: of the paper's mini-batches."""

    def run(self, stops: Sequence[int]) -> Iterator[Tensor]:
        """Train to each stop in turn; yield the mean losses since the last."""

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


@dataclass(frozen=True)
class Recording:
    """Where a trainer's rows go, and when its state is saved."""

    records: Sequence[Record]  # of network 0, 1, …; several networks may share a record
    stops: Sequence[int]  # updates after which a row is recorded
    checkpoint: Path
    identity: str  # the config's hash
    every: int  # updates between checkpoints

    @property
    def distinct(self) -> list[Record]:
        """Each record once."""
        return list(dict.fromkeys(self.records))


def stored(recording: Recording, force: bool) -> State | None:
    """The state to go on from, where the checkpoint and the rows before it are whole."""
    records = recording.distinct
    state = checkpoint.load(recording.checkpoint, recording.identity, records, force)
    marked = zip(records, state["rows"], strict=True) if state else ()
    return state if all(record.whole([mark]) for record, mark in marked) else None


def resume(
    trainer: Trainer, recording: Recording, cfg: Any, data: ImageSet, seeds: Sequence[int],
    force: bool,
) -> None:  # fmt: skip
    """Put the trainer and its records where their checkpoint left them, or begin all of them anew.

    Who begins anew replaces the checkpoint first: none may outlive the rows that it goes on from.
    """
    state = processes.decided(lambda: stored(recording, force))
    if state is not None:
        trainer.load_state_dict(state)
    if not leads():
        return  # the first process records
    steps = {"total": recording.stops[-1]}
    meta = describe_run(trainer.device, data.identity(), seeds) | steps
    if state is None:
        save(trainer, recording, meta)
        marks = [NO_ROWS for _ in recording.distinct]
    else:
        meta = continued(recording.checkpoint.parent, state["meta"], meta)
        marks = state["rows"]
    for record, mark in zip(recording.distinct, marks, strict=True):
        record.begin(cfg, meta, mark)


def save(trainer: Trainer, recording: Recording, meta: Mapping[str, Any]) -> None:
    """Write a checkpoint of the trainer, of how its rows were made and of where they end."""
    rows = [record.mark() for record in recording.distinct]
    state = {"config_hash": recording.identity, "meta": meta, "rows": rows}
    checkpoint.save(recording.checkpoint, state | trainer.state_dict())


def record_training(
    trainer: Trainer, recording: Recording, measure: Measure, bar: Bar, sinks: Sequence[Sink] = ()
) -> None:
    """Train to every stop, record a row for each network that still trains, save the state.

    The state is saved after the rows of its stop, so a resumed run never lacks a row that came
    before its checkpoint. `sinks` are the mirrors of network 0, 1, …
    """
    saved, last = trainer.step, recording.stops[-1]
    for losses in trainer.run(recording.stops):
        rows = measure(losses)
        for i in trainer.active:
            recording.records[i].log(rows[i])
            if sinks:
                sinks[i].log(flatten(rows[i]))
        bar.update(trainer.paper_step, _note(rows))
        due = trainer.step - saved >= recording.every
        if due or trainer.step == last or not trainer.active:
            save(trainer, recording, recording.records[0].meta)
            saved = trainer.step


def _note(rows: Sequence[Row]) -> str:
    known = [row["test_accuracy"] for row in rows if row["test_accuracy"] is not None]
    return f"accuracy {sum(known) / len(known):.4f}" if known else ""


@contextlib.contextmanager
def marking(records: Sequence[Record], identity: str) -> Iterator[None]:
    """Leave a summary that says so when a run is interrupted or crashes."""
    try:
        yield
    except BaseException as error:
        ended = isinstance(error, KeyboardInterrupt | SystemExit)  # Slurm's time limit: the latter
        status = "interrupted" if ended else "crashed"
        for record in records:
            with contextlib.suppress(Exception):
                record.finish({"status": status, "error": str(error), "config_hash": identity})
        raise


def chance_accuracy(data: ImageSet, evaluated: int | None = None) -> float:
    """Accuracy of always naming the commonest class, plus three standard errors.

    The standard error is that of the test images that are evaluated (None: all).
    """
    share = float(data.test_labels.bincount().max()) / len(data.test_labels)
    count = min(evaluated or len(data.test_labels), len(data.test_labels))
    return share + 3 * (share * (1 - share) / count) ** 0.5


def describe_outcome(first_non_finite: float | None, best: float | None, chance: float) -> str:
    """`non-finite`, or `trained` where the best accuracy exceeds chance, else `collapsed`."""
    if first_non_finite is not None:
        return "non-finite"
    return "trained" if best is not None and best > chance else "collapsed"


def summarise(
    rows: Sequence[Row], first_non_finite: float | None, chance: float, more: Row
) -> dict[str, Any]:
    """How a run ended, from its rows: the last row's scalars with `more`, and the best accuracy."""
    best = max(rows, key=lambda row: row["test_accuracy"], default=None)
    accuracy, step = (best["test_accuracy"], best["step"]) if best else (None, None)
    final = None
    if first_non_finite is None:
        final = {k: v for k, v in rows[-1].items() if not isinstance(v, dict)} | more
    return {
        "status": "ok" if first_non_finite is None else "diverged",
        "outcome": describe_outcome(first_non_finite, accuracy, chance),
        "chance_accuracy": round(chance, 6),
        "first_non_finite_step": first_non_finite,
        "final": final,
        "best": {"test_accuracy": accuracy, "step": step},
    }
