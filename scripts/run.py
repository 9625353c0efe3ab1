"""Run an experiment as `make <experiment>` does: every arm, then figures and table.

    python -m scripts.run inception [overrides]

Where the experiment has many arms, several run side by side, the cores shared out, unless
`variant=…` names one.
"""

import os
import subprocess
import sys

from bnrepro.cli import arguments, guard
from bnrepro.config.compose import arms_at, compose, split_arms, validate
from bnrepro.experiment import find


def main() -> None:
    """Train or measure, then render; a failing command's status becomes this one's."""
    stem, *overrides = arguments("an experiment to run")
    if "-m" in overrides:
        execute(f"experiments.{stem}", *overrides)
        print("no figure of a sweep: make compare RUNS=… overlays its runs")
        return
    check(stem, overrides)
    measure(stem, overrides)
    execute("scripts.render", stem, *overrides)


def check(stem: str, overrides: list[str]) -> None:
    """Raise a UserError for what the figures would stumble over, before anything is trained."""
    asked, others = split_arms(overrides)
    for arm in asked or arms_at(stem, others):
        validate(compose(stem, [*others, f"variant={arm}"]))


def measure(stem: str, overrides: list[str]) -> None:
    """Run the arms that the overrides name, or all of them."""
    arms = arms_at(stem, split_arms(overrides)[1])
    if arms == ["sweep"]:
        execute(f"experiments.{stem}", *overrides)
        return
    if any(o.startswith("variant=") for o in overrides):
        execute(f"experiments.{stem}", "-m", *overrides)
        return
    cores = os.cpu_count() or 1
    together = min(find(stem).side_by_side, cores)
    share = -(-cores // together)
    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={together}", f"threads={share}"]
    execute(
        f"experiments.{stem}", "-m", f"variant={','.join(arms)}",
        *(launcher if together > 1 else []), *overrides, lines=together > 1,
    )  # fmt: skip


def execute(module: str, *arguments: str, lines: bool = False) -> None:
    """Run a module as a process; `lines` instead of bars where several report progress at once."""
    environment = os.environ | ({"TTY_COMPATIBLE": "0"} if lines else {})
    done = subprocess.run([sys.executable, "-m", module, *arguments], env=environment)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    guard(main)
