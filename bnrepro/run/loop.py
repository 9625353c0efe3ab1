"""The recorded loop: a trainer's rows go to run records, and a killed run resumes.

with marking(records, identity):
    record_training(trainer, Recording(…), measure, bar)
    … finish the records …
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from bnrepro.data import ImageSet
from bnrepro.files import writing
from bnrepro.run import checkpoint
from bnrepro.run.mirror import Sink, flatten
from bnrepro.run.progress import Bar
from bnrepro.run.record import Record

Row = dict[str, Any]
Measure = Callable[[Tensor], list[Row]]  # of the losses since the last stop; a row a network


class Trainer(Protocol):
    """What a loop must offer to be recorded: `SlotTrainer` and `ImageTrainer` do."""

    step: int

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
    sinks: Sequence[Sink] = field(default_factory=list)  # of network 0, 1, …; none: no mirror


def resume(
    trainer: Trainer, path: Path, identity: str, force: bool, records: Sequence[Record] = (),
    group: Sequence[int] = (),
) -> None:  # fmt: skip
    """Put the trainer where its checkpoint left it, if the `records` are still of the same `group`.

    A seed that meanwhile began anew among others lacks the rows before the checkpoint. Whoever
    starts anew removes the checkpoint first: it must not outlive the rows that it goes on from.
    """
    state = None if force else checkpoint.load(path, identity)
    if state is not None and all(r.read_meta().get("group") == list(group) for r in records):
        trainer.load_state_dict(state)
    else:
        with writing(path):
            path.unlink(missing_ok=True)


def record_training(trainer: Trainer, recording: Recording, measure: Measure, bar: Bar) -> None:
    """Train to every stop, record a row for each network that still trains, save the state.

    The state is saved after the rows of its stop, so a resumed run never lacks a row that came
    before its checkpoint.
    """
    saved, last = trainer.step, recording.stops[-1]
    for losses in trainer.run(recording.stops):
        rows = measure(losses)
        for i in trainer.active:
            recording.records[i].log(rows[i])
            if recording.sinks:
                recording.sinks[i].log(flatten(rows[i]))
        bar.update(trainer.paper_step, _note(rows))
        due = trainer.step - saved >= recording.every
        if due or trainer.step == last or not trainer.active:
            state = {"config_hash": recording.identity, **trainer.state_dict()}
            checkpoint.save(recording.checkpoint, state)
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
