"""Progress with time left: a live bar on a terminal, a line every tenth elsewhere."""

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """The progress of one job; a context manager."""

    def __init__(self, label: str, total: float, done: float, unit: str = "step") -> None:
        self.console = Console(stderr=True)
        self.label, self.total, self.unit = label, total, unit
        self.tenth = 10 * done // total
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

    def update(self, done: float, note: str = "") -> None:
        """Show how much is done, with a note beside it."""
        self.progress.update(self.task, completed=done, note=note)
        if not self.console.is_terminal and 10 * done // self.total > self.tenth:
            self.tenth = 10 * done // self.total
            left = self.progress.tasks[0].time_remaining
            parts = [f"{self.label}: {self.unit} {done:,} of {self.total:,}"]
            parts += [note] if note else []
            parts += [f"{left:.0f} s left"] if left else []
            print(", ".join(parts), file=sys.stderr, flush=True)
