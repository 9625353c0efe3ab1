"""What turns a loop into a run that can be killed: checkpoints, resuming, outcomes."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from bnrepro.data import ImageSet
from bnrepro.run import checkpoint
from bnrepro.run.record import Record, writing


class Trainer(Protocol):
    """What a loop must offer to be checkpointed: `SlotTrainer` and `ImageTrainer` do."""

    step: int

    @property
    def active(self) -> list[int]: ...
    def run(self, stops: Sequence[int]) -> Iterator[Tensor]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def resume(
    trainer: Trainer,
    path: Path,
    identity: str,
    force: bool,
    records: Sequence[Record] = (),
    group: Sequence[int] = (),
) -> None:
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


def checkpointed(
    trainer: Trainer, stops: Sequence[int], path: Path, identity: str, every: int
) -> Iterator[Tensor]:
    """`trainer.run(stops)` that saves after the caller has recorded a stop, `every` steps or more
    apart and at the end: a resumed run never lacks a row that came before its checkpoint."""
    saved = trainer.step
    for losses in trainer.run(stops):
        yield losses
        if trainer.step - saved >= every or trainer.step == stops[-1] or not trainer.active:
            checkpoint.save(path, {"config_hash": identity, **trainer.state_dict()})
            saved = trainer.step


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
    """Accuracy of always naming the commonest class, plus three standard errors of the number of
    test images that are evaluated (None: all)."""
    share = float(data.test_labels.bincount().max()) / len(data.test_labels)
    count = min(evaluated or len(data.test_labels), len(data.test_labels))
    return share + 3 * (share * (1 - share) / count) ** 0.5


def outcome(first_non_finite: float | None, best_accuracy: float | None, chance: float) -> str:
    if first_non_finite is not None:
        return "non-finite"
    return "trained" if best_accuracy is not None and best_accuracy > chance else "collapsed"


def ending(
    rows: Sequence[dict[str, Any]],
    first_non_finite: float | None,
    chance: float,
    more: dict[str, Any],
) -> dict[str, Any]:
    """How a run ended, from its rows: the last row's scalars with `more`, and the best accuracy.

    A run that never exceeds the accuracy `chance` has collapsed.
    """
    best = max(rows, key=lambda row: row["test_accuracy"], default=None)
    accuracy, step = (best["test_accuracy"], best["step"]) if best else (None, None)
    final = None
    if first_non_finite is None:
        final = {k: v for k, v in rows[-1].items() if not isinstance(v, dict)} | more
    return {
        "status": "ok" if first_non_finite is None else "diverged",
        "outcome": outcome(first_non_finite, accuracy, chance),
        "chance_accuracy": round(chance, 6),
        "first_non_finite_step": first_non_finite,
        "final": final,
        "best": {"test_accuracy": accuracy, "step": step},
    }


class Bar:
    """Progress with time left: a live bar on a terminal, a line every tenth elsewhere."""

    def __init__(self, label: str, total: float, done: float) -> None:
        self.console = Console(stderr=True)
        self.label, self.total, self.tenth = label, total, 10 * done // total
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=self.console)
        self.task = self.progress.add_task(label, total=total, completed=int(done), note="")

    def __enter__(self) -> "Bar":
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.console.is_terminal:
            self.progress.stop()

    def update(self, step: float, note: str) -> None:
        self.progress.update(self.task, completed=step, note=note)
        if not self.console.is_terminal and 10 * step // self.total > self.tenth:
            self.tenth = 10 * step // self.total
            left = self.progress.tasks[0].time_remaining
            eta = f", {left:.0f} s left" if left else ""
            told = f", {note}" if note else ""
            line = f"{self.label}: step {step:,} of {self.total:,}{told}{eta}"
            print(line, file=sys.stderr, flush=True)
