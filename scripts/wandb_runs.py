"""Look at the W&B runs recorded on this machine, or upload those recorded offline.

    python -m scripts.wandb_runs view     charts in the terminal; no account, no network
    python -m scripts.wandb_runs sync     upload every offline run not uploaded yet; needs a key

Both take `--dir`, the value of `wandb.dir` the runs were made with (default: the current folder).
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bnrepro.cli import Parser, guard
from bnrepro.errors import UserError
from bnrepro.run.mirror import environment, online_problem


def view(folder: Path) -> int:
    """Open wandb's terminal viewer on links to the runs' folders whose names begin with the arm.

    The viewer lists names of folders, cut to about 30 characters, and wandb's begin with the time.
    """
    runs = _runs(folder)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "the viewer needs a terminal; for text: .venv/bin/wandb leet inspect --summary RUN"
        )
    with tempfile.TemporaryDirectory() as links:
        for run in runs:
            name = re.sub(r"^(?:offline-)?(run-\d+_\d+-(.+))", r"run-\2-\1", run.name)
            (Path(links) / name).symlink_to(run)
        return _wandb("leet", links, env=environment(shell=[]))


def sync(folder: Path) -> int:
    """Upload the runs that wandb marks as offline and not yet uploaded."""
    _runs(folder)
    if problem := online_problem():
        raise UserError(problem)
    # `wandb sync` alone waits without end for a server that it cannot reach.
    env = environment() | {"WANDB_DIR": str(folder)}
    return _wandb("login", "--verify", env=env) or _wandb("sync", "--yes", env=env)


def _runs(folder: Path) -> list[Path]:
    runs = [path.parent for path in (folder / "wandb").glob("*run-*/*.wandb")]
    if not runs:
        raise UserError(
            f"no W&B runs in {folder}/wandb; train with wandb.mode=offline or give --dir"
        )
    return runs


def _wandb(*arguments: str, env: Mapping[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", "wandb", *arguments], env=env).returncode


def main() -> None:
    """Run one of the two actions; its exit status is the command's."""
    parser = Parser(prog="python -m scripts.wandb_runs", description=__doc__)
    parser.add_argument("action", choices=["view", "sync"])
    parser.add_argument("--dir", type=Path, default=Path("."), help="folder that holds wandb/")
    options = parser.parse_args()
    action = {"view": view, "sync": sync}[options.action]
    raise SystemExit(action(options.dir.expanduser().absolute()))


if __name__ == "__main__":
    guard(main)
