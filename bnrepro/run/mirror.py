"""Weights & Biases as a mirror of the run record: useful when it works, harmless when not.

The record on disk is the source (`metrics.jsonl`). A second process repeats its rows on W&B, see
`bnrepro.run.uploader`. So the training process never imports wandb and never waits for it, except
for `EXIT_SECONDS` at most when it ends. Without a terminal, W&B cannot ask for a key there.

A run's group is its experiment and scale, its job type is its arm, the x axis is the training step.
"""

import atexit
import contextlib
import functools
import hashlib
import itertools
import json
import logging
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from omegaconf import OmegaConf

from bnrepro.errors import UserError
from bnrepro.run.ranks import leads
from bnrepro.run.tensorboard import Both, TensorBoardSink

log = logging.getLogger(__name__)

HISTOGRAM_EDGES = tuple(i / 4 for i in range(-32, 33))  # bins of 1/4 from -8 to 8

EXIT_SECONDS = 15  # for the second process to end, whatever hangs
LABEL_BYTES = 64  # of a tag, a job type, an id: W&B's limit
MODES = ("auto", "online", "offline", "disabled")
SHELL_MODES = {"": "auto", "run": "online", "dryrun": "offline"} | {m: m for m in MODES[1:]}
NO = ("", "0", "f", "false", "n", "no", "off")
DIED = "its process died"
# What the shell decides: the account and the way to the server. All else (WANDB_RUN_ID, WANDB_NAME,
# WANDB_TAGS, …) is about one run, while several are open here: it is left out.
SHELL = (
    *("API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "ENTITY"),
    *("BASE_URL", "APP_URL", "HTTP_PROXY", "HTTPS_PROXY", "HTTP_TIMEOUT", "X_EXTRA_HTTP_HEADERS"),
    *("INSECURE_DISABLE_SSL", "CONFIG_DIR", "CACHE_DIR", "DATA_DIR"),
)


class Sink(Protocol):
    """Where a run's rows go besides its record."""

    def log(self, row: Mapping[str, object]) -> None:
        """Take one row of `flatten`; it holds `step`, and a resumed run may repeat steps."""

    def finish(self, summary: Mapping[str, object]) -> None:
        """Take the summary and close the run."""


class NullSink:
    """The sink that does nothing, so that callers never ask whether W&B is on."""

    def log(self, row: Mapping[str, object]) -> None:
        """Ignore the row."""

    def finish(self, summary: Mapping[str, object]) -> None:
        """Ignore the summary."""


class WandbSink(NamedTuple):
    """A W&B run of the second process."""

    uploader: "Uploader"
    number: int

    def log(self, row: Mapping[str, object]) -> None:
        """Send one row."""
        self.uploader.send("log", self.number, row)

    def finish(self, summary: Mapping[str, object]) -> None:
        """Send the summary and close the run."""
        self.uploader.send("finish", self.number, flatten(summary))


class Uploader:
    """The second process of a training process; it prints to the same standard error."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(**_program(), stdin=subprocess.PIPE)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._numbers = itertools.count()
        threading.Thread(target=self._write, daemon=True).start()

    def sink(self, run: Mapping[str, Any]) -> WandbSink:
        """Ask for a W&B run."""
        number = next(self._numbers)
        self.send("open", number, run)
        return WandbSink(self, number)

    def send(self, *message: object) -> None:
        """Queue a message; never waits, and does nothing once the process is dead."""
        if self._process.poll() is None:
            text = json.dumps(message, ensure_ascii=False, skipkeys=True, default=str)
            self._lines.put(text.encode(errors="replace") + b"\n")
        elif self._process.returncode:  # else it has said why it ended
            _report_off(DIED)

    def end(self) -> None:
        """Wait for the last uploads; stop what has not ended after `EXIT_SECONDS`."""
        self._lines.put(b"\n")
        try:
            if self._process.wait(EXIT_SECONDS):
                _report_off(DIED)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            log.warning("W&B did not end within %s s and was stopped", EXIT_SECONDS)
            self._process.send_signal(signal.SIGUSR1)  # it stops wandb's service and itself
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _write(self) -> None:
        assert self._process.stdin
        line = b""
        with contextlib.suppress(OSError):  # the process is dead
            while line != b"\n":
                line = self._lines.get()
                self._process.stdin.write(line)
                self._process.stdin.flush()


_uploader: Uploader | None = None


def check(settings: Any) -> None:
    """Raise a UserError, before any work, for what makes the configured mode impossible.

    That is an unknown mode; a project name that W&B refuses; with `online` or `offline` an
    unwritable folder; with `online` no key or a malformed setting in the shell.
    """
    if _mode(settings) == "disabled" or not leads():
        return
    if not re.fullmatch(r"[^/\\#?%:]{1,128}", settings.project):
        allowed = r"1 to 128 characters, none of / \ # ? % :"
        raise UserError(f"wandb.project={settings.project}: choose a name of {allowed}")
    if settings.mode != "auto" and (problem := _folder_problem(settings)):
        raise UserError(f"wandb.dir: {problem}; choose another folder or wandb.mode=disabled")
    if settings.mode == "online" and (problem := online_problem()):
        raise UserError(f"wandb.mode=online: {problem}; or choose wandb.mode=offline")


def open_mirrors(
    cfg: Any, seeds: Sequence[int], folder: Path, resumed_at: float = 0
) -> Sequence[Sink]:
    """A sink for every seed of an arm: its W&B run in the best mode that works, or one that does
    nothing; with `tensorboard=true` event files in the run's folder too."""
    uploader = _started_uploader(cfg.wandb)
    sinks = [
        uploader.sink(_describe(cfg, seed, folder.name)) if uploader else NullSink()
        for seed in seeds
    ]
    if not (cfg.tensorboard and leads()):
        return sinks
    events = [TensorBoardSink(folder / f"seed-{seed}", resumed_at) for seed in seeds]
    return [Both(*pair) for pair in zip(sinks, events, strict=True)]


@atexit.register
def close() -> None:
    """End the second process, `EXIT_SECONDS` from now at the latest; called at exit too."""
    global _uploader
    uploader, _uploader = _uploader, None
    if uploader is not None:
        uploader.end()


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metrics.jsonl as W&B charts it: `accuracy/test`, `grad_norm/hidden1`, …

    W&B sorts charts by name, and accuracy is what is looked at first. A histogram is a pair of
    counts and edges. Percentiles of single units stay in the record.
    """
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key == "histogram":
            flat |= {f"inputs/{k}": (counts, HISTOGRAM_EDGES) for k, counts in value.items()}
        elif key != "percentiles" and isinstance(value, Mapping):
            flat |= {f"{key}/{inner}": number for inner, number in value.items()}
        elif key != "percentiles":
            flat["accuracy/test" if key == "test_accuracy" else key] = value
    return flat


def environment(shell: Sequence[str] = SHELL) -> dict[str, str]:
    """The environment for whatever runs wandb: `shell` alone of its settings, no statistics."""
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    rest = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_") or k[6:] in shell}
    return rest | {"WANDB_ERROR_REPORTING": "false", "PYTHONPATH": path}


def online_problem() -> str:
    """Why no run can be online, as a second process finds it; empty if none is known."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = {**_program("check"), "stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.run(**command, timeout=60).stderr.decode().strip()
    return ""


def _started_uploader(settings: Any) -> Uploader | None:
    """The one second process of this process; None where W&B is off."""
    global _uploader
    if _mode(settings) == "disabled" or not leads():
        return None
    if problem := _folder_problem(settings):
        return _report_off(problem)
    try:
        _uploader = _uploader or Uploader()
    except OSError as error:
        return _report_off(str(error))
    return _uploader


@functools.cache
def _report_off(reason: str) -> None:
    log.warning("W&B is off (%s)", reason)


def _describe(cfg: Any, seed: int, arm: str) -> dict[str, Any]:
    """What `wandb.init` gets to know of a run."""
    name = f"{_shorten(arm, LABEL_BYTES - 9 - len(f'/seed-{seed}'))}/seed-{seed}"
    config: Any = OmegaConf.to_container(OmegaConf.structured(cfg))
    return {
        # begins the run's id, and with it the name of its folder, which wandb's terminal view lists
        "id": re.sub("[^A-Za-z0-9_.-]+", "-", name),
        "mode": _mode(cfg.wandb),
        "project": cfg.wandb.project,
        "entity": cfg.wandb.entity,
        "dir": str(_folder(cfg.wandb)),
        "name": name,
        "group": _shorten(f"{cfg.experiment}/{cfg.scale}"),
        "job_type": _shorten(arm),
        "tags": [_shorten(tag) for tag in (cfg.experiment, cfg.scale, arm, f"seed-{seed}")],
        "config": {**config, "seed": seed},
    }


def _shorten(label: str, limit: int = LABEL_BYTES) -> str:
    """A label that W&B takes: a hash replaces the end of a long one."""
    text = label.encode(errors="replace")
    if len(text) <= limit:
        return text.decode()
    return f"{text[: limit - 7].decode(errors='ignore')}-{hashlib.sha256(text).hexdigest()[:6]}"


def _mode(settings: Any) -> str:
    """The configured mode; the shell decides when that is `auto`."""
    if settings.mode != "auto":
        return settings.mode
    if os.environ.get("WANDB_DISABLED", "").lower() not in NO:
        return "disabled"
    mode = os.environ.get("WANDB_MODE", "")
    if mode not in SHELL_MODES:
        raise UserError(f"WANDB_MODE={mode}: choose one of {', '.join(MODES[1:])}")
    return SHELL_MODES[mode]


def _folder(settings: Any) -> Path:
    return Path(settings.dir).expanduser().absolute()


def _folder_problem(settings: Any) -> str | None:
    """Why wandb cannot write, found by writing: it would turn to /tmp by itself, unseen."""
    folder = _folder(settings) / "wandb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot write in {folder} ({error.strerror})"


def _program(*arguments: str) -> dict[str, Any]:
    """How to start the second process: without a terminal, and so without its Ctrl-C."""
    command = [sys.executable, "-m", "bnrepro.run.uploader", *arguments]
    return {"args": command, "env": environment(), "start_new_session": True}
