"""Run an experiment as `make <experiment>` does: every arm, then figures and table.

    python -m scripts.run inception [overrides]

Where the experiment has many arms, several run side by side, the cores shared out, unless
`variant=…` names one.
"""

import os
import signal
import subprocess
import sys

from bnrepro import entry
from bnrepro.cli import arguments, guard
from bnrepro.config.compose import arms_at, split_arms, valid_arms
from bnrepro.errors import UserError
from bnrepro.experiment import find
from bnrepro.machine import cores

GRACE = 5  # seconds for a process to end after a terminal's Ctrl-C


def main() -> None:
    """Train or measure, then render; a failing command's status becomes this one's."""
    stem, *overrides = arguments("an experiment to run")
    if any(word.startswith("-") for word in overrides):
        execute(f"experiments.{stem}", *overrides)
        if "-m" in overrides:
            print("no figure of a sweep: make compare RUNS=… overlays its runs")
        return
    valid_arms(stem, overrides)  # what the figures would stumble over, before anything is trained
    measure(stem, overrides)
    execute("scripts.render", stem, *overrides)


def measure(stem: str, overrides: list[str]) -> None:
    """Run the arms that the overrides name, or all of them."""
    arms = arms_at(stem, split_arms(overrides)[1])
    if arms == ["sweep"]:
        execute(f"experiments.{stem}", *overrides)
        return
    if any(o.startswith("variant=") for o in overrides):
        execute(f"experiments.{stem}", "-m", *overrides)
        return
    together = min(find(stem).side_by_side, cores())
    share = -(-cores() // together)
    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={together}", f"threads={share}"]
    execute(
        f"experiments.{stem}", "-m", f"variant={','.join(arms)}",
        *(launcher if together > 1 else []), *overrides, lines=together > 1,
    )  # fmt: skip


def execute(module: str, *arguments: str, lines: bool = False) -> None:
    """Run a module as a process; `lines` instead of bars where several report progress at once."""
    environment = os.environ | {entry.DRAWN: "1"} | ({"TTY_COMPATIBLE": "0"} if lines else {})
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        if ended_by_interrupt(process):
            raise SystemExit(130) from None  # it has said so
        raise
    if status < 0:
        raise UserError(f"{module}: ended by {signal.Signals(-status).name}; {entry.AGAIN}")
    if status:
        raise SystemExit(status)


def ended_by_interrupt(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process ends as interrupted, once it had the time to leave its record.

    A terminal's Ctrl-C reaches it directly; an interrupt of this process alone is passed on.
    """
    for patience in (GRACE, None):
        try:
            return process.wait(patience) == 130
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
    return False


if __name__ == "__main__":
    guard(main)
