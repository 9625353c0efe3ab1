"""Checkpoints: one file a group of slots, replaced atomically, loadable as plain tensors."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from bnrepro.errors import UserError
from bnrepro.record import writing


def save(path: Path, state: dict[str, Any]) -> None:
    """Write to a temporary file, sync, rename: a kill leaves the old checkpoint or the new one."""
    with writing(path):
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except RuntimeError as error:  # torch's own word for a failed write
            raise OSError(str(error).splitlines()[0]) from error
        finally:
            temporary.unlink(missing_ok=True)


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
            f"{path}: a checkpoint of another config (hash {state['config_hash']}, this one is "
            f"{expected_hash}); move it away, or replace it with force=true"
        )
    return state
