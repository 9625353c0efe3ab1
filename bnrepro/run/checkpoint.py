"""Checkpoints: one file a group of slots, replaced atomically, loadable as plain tensors.

The file is torch's zip archive; the archive's comment is the digest of all that comes before it.
"""

import hashlib
import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bnrepro.errors import UserError
from bnrepro.files import read_bytes, write_atomically
from bnrepro.run.locks import make_way
from bnrepro.run.record import Record, report

DIGITS = 64  # of the digest, SHA-256 in hexadecimal


def save(path: Path, state: dict[str, Any]) -> None:
    """A kill leaves the old checkpoint or the new one."""
    buffer = io.BytesIO()  # torch would hide the reason of a failed write to a file
    torch.save(state, buffer)
    archive = buffer.getvalue()[:-2] + DIGITS.to_bytes(2, "little")  # the comment's length
    write_atomically(path, archive + _digest(archive))


def load(
    path: Path, expected_hash: str, records: Sequence[Record], force: bool
) -> dict[str, Any] | None:
    """The state that the records go on from; None without a whole one, and with `force`.

    A line says so where rows are lost with it. Raises a UserError for a checkpoint of another
    config, or a folder that `force` does not remove.
    """
    make_way([path], force)
    if force:
        return None
    state = _parse(read_bytes(path) or b"")
    if state is None and (recorded := [r.folder for r in records if read_bytes(r.metrics)]):
        report(recorded[0], path, "begins anew")
    if state is not None and state["config_hash"] != expected_hash:
        raise UserError(
            f"{path}: a checkpoint of another config or number of processes (hash "
            f"{state['config_hash']}, this one is {expected_hash}); move it away, or replace it "
            "with force=true"
        )
    return state


def _parse(content: bytes) -> dict[str, Any] | None:
    """What `save` wrote; None for anything else."""
    if content[-DIGITS:] != _digest(content[:-DIGITS]):
        return None
    try:
        return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError):  # another version of PyTorch's
        return None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
