"""Weights & Biases as a mirror of the run record: helpful when it works, harmless when not.

The record on disk is the source (`metrics.jsonl`); this sink repeats it where charts are pleasant
to read. So nothing here may stop, slow down or clutter a run: wandb is imported only when it is
used, never asks for a key, gives up on a dead network after seconds, and every failure ends in one
warning and a sink that does nothing. Only a wish that cannot be met (`wandb.mode=online` without a
key) is an error, raised by `check` before any training.

Several runs are open at once in one process (one per slot), hence `reinit="create_new"`.
"""

import atexit
import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from bnrepro.errors import UserError

log = logging.getLogger(__name__)

INIT_SECONDS = 5  # for the server to answer when a run starts
FINISH_SECONDS = 10  # for the last uploads when a run ends
MODES = ("auto", "online", "offline", "disabled")
ENV_MODES = {  # WANDB_MODE, with wandb's older words for the same
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}
NO_KEY = (
    "wandb.mode=online needs a key: run `.venv/bin/wandb login` or set WANDB_API_KEY, "
    "or choose wandb.mode=offline"
)


class Histogram(NamedTuple):
    """Counts between edges, as from `numpy.histogram`; wandb takes at most 512 bins."""

    counts: Sequence[float]
    edges: Sequence[float]  # one more than counts


class WandbSettings(Protocol):
    """What the sink reads of the config group `wandb`."""

    mode: str  # auto | online | offline | disabled
    project: str
    entity: str | None
    dir: str  # wandb writes into the folder `wandb` below it


class Sink(Protocol):
    """Where a run's rows go besides its record."""

    def log(self, row: Mapping[str, object]) -> None:
        """Take one row; it holds `step`, and a resumed run may repeat steps."""

    def finish(self, summary: Mapping[str, object]) -> None:
        """Take the summary and close the run."""


class NullSink:
    """The twin that does nothing, so that callers never ask whether W&B is on."""

    def log(self, row: Mapping[str, object]) -> None:
        pass

    def finish(self, summary: Mapping[str, object]) -> None:
        pass


class WandbSink:
    """One open W&B run; the first exception turns it into a null sink with one warning."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, row: Mapping[str, object]) -> None:
        self._guard(lambda run: run.log(dict(_flat(row))))

    def finish(self, summary: Mapping[str, object]) -> None:
        self._guard(lambda run: _close(run, summary))
        self._run = None

    def _guard(self, action: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:
            self._run = None
            atexit.register(_teardown)
            _warn_once(f"W&B failed and is off from here; the run goes on ({_line(error)})")


@dataclass
class _Process:
    """What one slot learns about W&B spares the others the same wait and the same message."""

    online_failed: bool = False
    finish_timed_out: bool = False
    said: set[str] = field(default_factory=set)


_process = _Process()


def check(settings: WandbSettings) -> None:
    """Raise, before any work, what would make the wished mode impossible.

    Mode `auto` wishes for nothing: whatever fails there falls back when the sink opens.

    Raises:
        UserError: an unknown mode; `online` or `offline` with an unwritable folder; `online`
            without a key.
    """
    if _mode(settings) == "disabled" or settings.mode == "auto" or not _is_rank_zero():
        return
    if problem := _folder_problem(settings):
        raise UserError(f"wandb.dir: {problem}; choose another folder or wandb.mode=disabled")
    if settings.mode == "online" and not _has_key():
        raise UserError(NO_KEY)


def open_sink(
    settings: WandbSettings,
    *,
    name: str,
    group: str,
    job_type: str,
    tags: Sequence[str],
    config: Mapping[str, Any],
) -> Sink:
    """Open a W&B run in the best mode that works: online, else offline, else a null sink.

    Raises:
        UserError: see `check`; nothing else.
    """
    check(settings)
    mode = _mode(settings)
    if mode == "disabled" or not _is_rank_zero():
        return NullSink()
    if problem := _folder_problem(settings):
        _warn_once(f"W&B is off: {problem}")
        return NullSink()
    about = {"name": name, "group": group, "job_type": job_type, "tags": list(tags)}
    failures = []
    for attempt in _attempts(mode):
        try:
            run = _start(attempt, settings, about, config)
        except Exception as error:
            failures.append(f"{attempt}: {_line(error)}")
            _process.online_failed |= attempt == "online"
            continue
        _report(attempt, run, failures)
        return WandbSink(run)
    _warn_once(f"W&B is off; the run goes on ({'; '.join(failures)})")
    return NullSink()


def load_wandb() -> ModuleType:
    """Import wandb (0.5 to 2 s) and make it quiet for the whole process."""
    # Usage statistics go to W&B even from offline runs, unless switched off before the import.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    # mode: with WANDB_MODE=offline in the environment wandb would not even look for a key.
    wandb.setup(wandb.Settings(silent=True, mode="online", x_service_wait=10))
    return wandb


def _mode(settings: WandbSettings) -> str:
    """The configured mode; WANDB_MODE decides when that is `auto`."""
    if settings.mode not in MODES:
        raise UserError(f"wandb.mode={settings.mode}: choose one of {', '.join(MODES)}")
    wanted = os.environ.get("WANDB_MODE", "")
    if settings.mode != "auto" or not wanted:
        return settings.mode
    if wanted not in ENV_MODES:
        raise UserError(f"WANDB_MODE={wanted}: choose one of {', '.join(ENV_MODES)}")
    return ENV_MODES[wanted]


def _attempts(mode: str) -> tuple[str, ...]:
    """The modes to try in turn; an online failure is not waited for a second time."""
    if mode == "offline" or _process.online_failed:
        return ("offline",)
    if mode == "auto" and not _has_key():
        return ("offline",)
    return ("online", "offline")


def _is_rank_zero() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _has_key() -> bool:
    """Whether wandb finds a key (environment, netrc, its settings), without network or prompt."""
    try:
        return bool(load_wandb().login(prompt=False, verify=False))
    except Exception:  # a malformed key, say: starting the run meets it again and gives the reason
        return True


def _folder(settings: WandbSettings) -> Path:
    return Path(settings.dir).expanduser().absolute()


def _folder_problem(settings: WandbSettings) -> str | None:
    """Why wandb cannot write, found by writing: it would turn to /tmp by itself, unseen."""
    folder = _folder(settings) / "wandb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot write in {folder} ({error.strerror})"


def _start(
    mode: str, settings: WandbSettings, about: Mapping[str, Any], config: Mapping[str, Any]
) -> Any:
    wandb = load_wandb()
    if mode == "online" and not _has_key():  # wandb.init would ask for one on a terminal
        raise UserError("no key found")
    run = wandb.init(
        mode=mode,
        project=settings.project,
        entity=settings.entity,
        dir=str(_folder(settings)),
        config=dict(config),
        reinit="create_new",
        settings=wandb.Settings(**_cheap()),
        **about,
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")  # so a resumed run may repeat steps
    return run


def _cheap() -> dict[str, Any]:
    """Settings that leave a run its numbers and nothing else: `meta.json` has the surroundings."""
    return {
        "init_timeout": INIT_SECONDS,
        "finish_timeout": FINISH_SECONDS,
        "silent": True,
        "console": "off",
        "save_code": False,
        "disable_code": True,
        "disable_git": True,
        "label_disable": True,
        "use_dot_wandb": False,
        "x_disable_stats": True,
        "x_disable_meta": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,
        # "Stop" on the web page interrupts the process, and with it every other slot.
        "stop_fn": lambda: None,
    }


def _report(mode: str, run: Any, failures: Sequence[str]) -> None:
    where = run.project_url if mode == "online" else _wandb_folder(run)
    if failures:
        later = "upload later with `python -m scripts.wandb_runs sync`"
        _warn_once(f"W&B records offline in {where}; {later} ({'; '.join(failures)})")
    else:
        _say_once(logging.INFO, f"W&B {mode}: {where}")


def _close(run: Any, summary: Mapping[str, object]) -> None:
    """Finish in a thread: with a dead network wandb takes `FINISH_SECONDS` and more for each run.

    After one run has timed out the others do not wait; wandb ends them together as Python exits.
    """
    run.summary.update(dict(_flat(summary)))
    failed = summary.get("status") in ("crashed", "interrupted")
    raised: list[Exception] = []

    def finish() -> None:
        try:
            run.finish(exit_code=int(failed))
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=finish, daemon=True)
    thread.start()
    thread.join(0.5 if _process.finish_timed_out else FINISH_SECONDS)
    if raised:
        raise raised[0]
    if thread.is_alive():
        _process.finish_timed_out = True
        _warn_once(
            f"W&B did not take everything within {FINISH_SECONDS} s; upload the rest later with "
            f"`wandb sync --include-online` in {_wandb_folder(run).parent}"
        )


def _teardown() -> None:
    """Shut wandb down before its own exit hook does: with its service dead that ends in a trace."""
    if wandb := sys.modules.get("wandb"):
        with contextlib.suppress(Exception, SystemExit):
            wandb.teardown()


def _wandb_folder(run: Any) -> Path:
    return Path(run.settings.sync_dir).parent


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested keys joined by `/`, by which W&B sorts charts into sections."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", _to_wandb(value)


def _to_wandb(value: object) -> object:
    if not isinstance(value, Histogram):
        return value
    import numpy as np
    import wandb

    return wandb.Histogram(np_histogram=(np.asarray(value.counts), np.asarray(value.edges)))


def _line(error: Exception) -> str:
    """An exception in one line: wandb's go over several."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _say_once(level: int, message: str) -> None:
    if message not in _process.said:
        _process.said.add(message)
        log.log(level, message)


def _warn_once(message: str) -> None:
    _say_once(logging.WARNING, message)
