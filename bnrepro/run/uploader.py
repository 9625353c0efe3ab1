"""The process that talks to Weights & Biases for a training process: see `bnrepro.run.mirror`.

    python -m bnrepro.run.uploader           do what standard input says, until an empty line
    python -m bnrepro.run.uploader check     print why no run can be online, if so

A line of standard input is [method of `Uploads`, number of the run, content] in JSON. Several runs
are open at once, hence `reinit="create_new"`.
"""

import contextlib
import io
import itertools
import json
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

INIT_SECONDS = 5  # for the server to answer when a run starts
FINISH_SECONDS = 8  # for the last uploads of a run; all runs upload at the same time
NO_KEY = "W&B needs a key: run `.venv/bin/wandb login` or set WANDB_API_KEY"
CHEAP: dict[str, Any] = {  # a run keeps its numbers alone: `meta.json` has the surroundings
    "init_timeout": INIT_SECONDS,
    "finish_timeout": FINISH_SECONDS,
    "finish_timeout_raises": True,
    "console": "off",
    "save_code": False,
    "disable_git": True,
    "use_dot_wandb": False,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "stop_fn": lambda: None,  # "Stop" on the web page would end all runs of the process
}


class Uploads:
    """The open W&B runs, and why none can be online."""

    def __init__(self, say: Callable[[str], None]) -> None:
        import wandb

        self.wandb: Any = wandb
        self.say = say
        self.runs: dict[int, Any] = {}
        self.trouble = self._malformed_variables()
        os.environ["WANDB_SILENT"] = "true"
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            wandb.setup(wandb.Settings(x_service_wait=INIT_SECONDS))
        self.trouble = self.trouble or _malformed_file(errors.getvalue()) or self._key_problem()

    def _malformed_variables(self) -> str:
        """Which variables of the shell are malformed; they are left out, and all runs are offline.

        Online without them, a run could reach another server than the one that was meant.
        """
        problems = []
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            try:
                self.wandb.Settings().update_from_env_vars({name: os.environ[name]})
                if name == "WANDB_IDENTITY_TOKEN_FILE":  # wandb's service would crash
                    Path(os.environ[name]).read_bytes()
            except Exception as error:
                problems.append(f"{name} is malformed: {reason(error)}")
                del os.environ[name]
        return "; ".join(problems)

    def _key_problem(self) -> str:
        try:
            return "" if self.wandb.login(prompt=False, verify=False) else NO_KEY
        except Exception as error:
            return reason(error)

    def follow(self, lines: Iterable[bytes]) -> None:
        """Do what the lines say; give up a run that fails, and close all at the end."""
        for method, number, content in map(json.loads, itertools.takewhile(bytes.strip, lines)):
            if number not in self.runs and method != "open":
                continue
            try:
                getattr(self, method)(number, content)
            except Exception as error:
                self.runs.pop(number, None)
                self.say(f"W&B is off from here ({reason(error)})")
        for number in list(self.runs):
            self.finish(number, {})

    def open(self, number: int, about: dict[str, Any]) -> None:
        """Open a run: online if that was asked for and works, else offline."""
        online = about.pop("mode") != "offline"
        if online and not self.trouble:
            try:
                self.runs[number] = run = self._start("online", about)
                return self.say(f"W&B online: {run.project_url}")
            except Exception as error:  # no other run waits for it
                self.trouble = f"online: {reason(error)}"
        self.runs[number] = run = self._start("offline", about)
        where = folder(run)
        if not online or self.trouble == NO_KEY:
            return self.say(f"W&B offline: {where}")
        later = "upload later with `python -m scripts.wandb_runs sync`"
        self.say(f"W&B records offline in {where}; {later} ({self.trouble})")

    def _start(self, mode: str, about: Mapping[str, Any]) -> Any:
        id = f"{about['id']}-{secrets.token_hex(4)}"
        options = {**about, "id": id, "mode": mode, "settings": self.wandb.Settings(**CHEAP)}
        try:
            run = self.wandb.init(reinit="create_new", **options)
        except Exception:
            for empty in Path(about["dir"], "wandb").glob(f"*run-*-{id}"):
                shutil.rmtree(empty, ignore_errors=True)
            raise
        run.define_metric("step")
        run.define_metric("*", step_metric="step")  # so a resumed run may repeat steps
        return run

    def log(self, number: int, row: Mapping[str, Any]) -> None:
        """Log a row, whose lists are histograms."""
        histogram = self.wandb.Histogram
        self.runs[number].log(
            {k: histogram(np_histogram=v) if isinstance(v, list) else v for k, v in row.items()}
        )

    def finish(self, number: int, summary: Mapping[str, Any]) -> None:
        """Finish a run beside the others: with a dead network each takes `FINISH_SECONDS`."""
        threading.Thread(target=self._finish, args=(self.runs.pop(number), summary)).start()

    def _finish(self, run: Any, summary: Mapping[str, Any]) -> None:
        try:
            run.summary.update(summary)
            run.finish(exit_code=int(summary.get("status") not in ("ok", "diverged")))
        except TimeoutError:
            later = f"`wandb sync` the folders of its runs in {folder(run)} later"
            self.say(f"W&B did not take everything within {FINISH_SECONDS} s; {later}")
        except Exception as error:
            self.say(f"W&B is off from here ({reason(error)})")


def _malformed_file(errors: str) -> str:
    """What wandb printed about its settings files, which it leaves out when malformed."""
    lines = [line.partition("ERROR")[2].strip() for line in errors.splitlines() if "ERROR" in line]
    return ": ".join(lines).partition(" [type=")[0]


def folder(run: Any) -> Path:
    """The folder that holds the folders of all runs."""
    return Path(run.settings.sync_dir).parent


def reason(error: Exception) -> str:
    """An exception in one line; pydantic's without the value, which may be secret."""
    details = getattr(error, "errors", None)
    text = details()[0]["msg"] if details else str(error)
    first = (text.strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:300]}"


def give_up(*_: object) -> None:
    """End at once, and end wandb's service."""
    with contextlib.suppress(Exception):  # not public, but nothing public may be called here
        sys.modules["wandb"].sdk.wandb_setup._singleton._connection._proc._process.kill()
    os._exit(1)


def main() -> None:
    """Keep the standard streams from wandb, its service included, and do what they say."""
    lines, terminal = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(2), "w", encoding="utf-8")
    for standard in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    signal.signal(signal.SIGUSR1, give_up)
    said: set[str] = set()
    saying = threading.Lock()

    def say(text: str) -> None:
        with saying:  # once, whichever runs end at the same time
            if text not in said:
                print(text, file=terminal, flush=True)
            said.add(text)

    try:
        uploads = Uploads(say)
        uploads.follow(lines) if sys.argv[1:] != ["check"] else say(uploads.trouble)
    except Exception as error:
        say(f"W&B is off ({reason(error)})")


if __name__ == "__main__":
    main()
