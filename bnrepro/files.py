"""Files that are either whole or not there, always in UTF-8."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bnrepro.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside, sync, rename: a reader sees the old file or the new one, never half of one."""
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failing disk into one line that says what is kept and what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); what was recorded before is "
            "kept: make room or choose another folder (results=…) and run the same command again"
        ) from error
