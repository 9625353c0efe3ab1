"""TensorBoard as a mirror of the run record, with `tensorboard=true`: event files beside the rows.

`tensorboard --logdir results/runs` shows them. Rows and names are those of the mirror on W&B.
Nothing here stops a run: the first failure ends in one warning and a sink that does nothing.
"""

import functools
import importlib.util
import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bnrepro.errors import UserError

if TYPE_CHECKING:  # the mirror opens these sinks
    from bnrepro.run.mirror import Sink

log = logging.getLogger(__name__)


def check_tensorboard(wanted: bool) -> None:
    """Raise a UserError, before any work, where event files are wanted and cannot be written."""
    if wanted and importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "tensorboard=true needs the package tensorboard: .venv/bin/pip install tensorboard, or"
            " leave it out"
        )


class Both(NamedTuple):
    """Two sinks as one."""

    first: "Sink"
    second: "Sink"

    def log(self, row: Mapping[str, object]) -> None:
        """Give both the row."""
        self.first.log(row)
        self.second.log(row)

    def finish(self, summary: Mapping[str, object]) -> None:
        """Give both the summary and close them."""
        self.first.finish(summary)
        self.second.finish(summary)


class TensorBoardSink:
    """An event file in a run's folder, opened with the first row.

    Rows after `resumed_at`, the step that the run goes on from, replace those of earlier files.
    """

    def __init__(self, folder: Path, resumed_at: float = 0) -> None:
        self.folder, self.resumed_at = folder, resumed_at
        self.writer: Any = None
        self.is_off = False

    def log(self, row: Mapping[str, object]) -> None:
        """Write one row of `flatten`: numbers as scalars, counts and edges as histograms."""
        self._guard(lambda: self._write(row))

    def finish(self, summary: Mapping[str, object]) -> None:
        """Close the event file; the summary stays in the record."""
        self._guard(lambda: self.writer and self.writer.close())
        self.is_off = True

    def _write(self, row: Mapping[str, Any]) -> None:
        step = int(row["step"])
        self.writer = self.writer or _writer(self.folder, self.resumed_at)
        for name, value in row.items():
            if isinstance(value, tuple):
                counts, edges = value
                _add_histogram(self.writer, name, counts, edges, step)
            elif name != "step" and isinstance(value, int | float):
                self.writer.add_scalar(name, value, step)
        self.writer.flush()  # a killed run keeps its curve

    def _guard(self, action: Callable[[], object]) -> None:
        if self.is_off:
            return
        try:
            action()
        except Exception as error:
            self.is_off = True
            _warn(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _writer(folder: Path, resumed_at: float) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # takes a second

    threading.excepthook = _show_unless_writers
    return SummaryWriter(str(folder), purge_step=int(resumed_at) + 1)


def _show_unless_writers(error: threading.ExceptHookArgs) -> None:
    """TensorBoard's thread hands its error on to `flush`: no traceback beside the warning."""
    if type(error.thread).__module__.partition(".")[0] != "tensorboard":
        threading.__excepthook__(error)


def _add_histogram(
    writer: Any, name: str, counts: Sequence[float], edges: Sequence[float], step: int
) -> None:
    """Counts between edges, as TensorBoard keeps a histogram."""
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    pairs = list(zip(counts, middles, strict=True))
    writer.add_histogram_raw(
        name,
        min=edges[0],
        max=edges[-1],
        num=sum(counts),
        sum=sum(n * x for n, x in pairs),
        sum_squares=sum(n * x * x for n, x in pairs),
        bucket_limits=list(edges[1:]),
        bucket_counts=list(counts),
        global_step=step,
    )


@functools.cache
def _warn(reason: str) -> None:
    log.warning("TensorBoard is off; the run goes on (%s)", reason)
