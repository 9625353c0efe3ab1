"""Checkpoints: one file a group of slots, replaced atomically, loadable as plain tensors."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from bnrepro.errors import UserError
from bnrepro.files import write_atomically


def save(path: Path, state: dict[str, Any]) -> None:
    """A kill leaves the old checkpoint or the new one."""
    buffer = io.BytesIO()  # torch would hide the reason of a failed write to a file
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path, expected_hash: str) -> dict[str, Any] | None:
    """The state at `path`, or None without one. Raises a UserError for another config's."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: not a readable checkpoint ({reason}); delete it to start anew"
        ) from error
    if state["config_hash"] != expected_hash:
        raise UserError(
            f"{path}: a checkpoint of another config or number of processes (hash "
            f"{state['config_hash']}, this one is {expected_hash}); move it away, or replace it "
            "with force=true"
        )
    return state
