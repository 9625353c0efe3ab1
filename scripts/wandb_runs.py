"""Look at the W&B runs recorded on this machine, or upload those recorded offline.

    python -m scripts.wandb_runs view     charts in the terminal; no account, no network
    python -m scripts.wandb_runs sync     upload every offline run not uploaded yet; needs a key

Both take `--dir`, the value of `wandb.dir` the runs were made with (default: the current folder).
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bnrepro.cli import guard
from bnrepro.errors import UserError
from bnrepro.files import expand
from bnrepro.wandb_sink import load_wandb


def view(folder: Path) -> int:
    """Open wandb's own terminal viewer on the folder."""
    if not any(folder.glob("*run-*/*.wandb")):
        raise UserError(f"no W&B runs in {folder}; train with wandb.mode=offline, or give --dir")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "the viewer needs a terminal; for text: .venv/bin/wandb leet inspect --summary RUN"
        )
    return _wandb("leet", str(folder))


def sync(folder: Path) -> int:
    """Upload the offline runs that have no upload mark of wandb's beside them."""
    runs = [run.parent for run in sorted(folder.glob("offline-run-*/*.wandb"))]
    pending = [run for run in runs if not any(run.glob("*.wandb.synced"))]
    if not pending:
        state = f"all {len(runs)} are uploaded" if runs else "there are none"
        raise UserError(f"no offline W&B runs to upload in {folder}: {state}")
    _require_login()
    return _wandb("sync", *map(str, pending))


def _require_login() -> None:
    """Ask the server first: `wandb sync` itself waits without end for one it cannot reach."""
    try:
        ready = load_wandb().login(prompt=False, verify=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"W&B cannot be reached or refuses the key: {reason}") from None
    if not ready:
        raise UserError(
            "uploading needs a W&B key: run `.venv/bin/wandb login` or set WANDB_API_KEY"
        )


def _wandb(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "wandb", *arguments]).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["view", "sync"])
    parser.add_argument("--dir", type=Path, default=Path("."), help="folder that holds wandb/")
    options = parser.parse_args(arguments)
    action = {"view": view, "sync": sync}[options.action]
    try:
        return action(expand(options.dir) / "wandb")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    guard(lambda: sys.exit(main()))
