"""The lock on a run's folder, and the way to it."""

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from bnrepro.errors import UserError
from bnrepro.files import read_bytes, writing

FILES = ("config.yaml", "meta.json", "metrics.jsonl", "summary.json", "lock")  # of a run


@contextlib.contextmanager
def locked(folders: Sequence[Path], force: bool = False) -> Iterator[None]:
    """Hold every run folder for this process; a second process gets a clear error.

    Folders that stand where a run has files are an error too; `force` removes them.
    """
    with contextlib.ExitStack() as stack:
        for folder in folders:
            make_way([folder / name for name in FILES], force)
            if folder.is_dir() and not os.access(folder, os.W_OK):
                continue  # nobody can change what is there; a run that must will say so
            if force and folder.is_file():
                folder.unlink()
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            _lock(folder / "lock", stack)
        yield


def _lock(path: Path, stack: contextlib.ExitStack) -> None:
    """Take a lock and note who has it."""
    with writing(path):
        try:
            stack.enter_context(FileLock(path, timeout=0))
        except Timeout:
            raise UserError(
                f"{path.parent}: another process is working on this run ({_holder(path)}); wait "
                "for it to end, or end it"
            ) from None
    with contextlib.suppress(OSError):  # a full disk: the lock holds without the note
        path.write_text(f"{os.getpid()}\n{platform.node()}\n", encoding="utf-8")


def _holder(path: Path) -> str:
    note = (read_bytes(path) or b"").decode(errors="replace").split()
    return "pid {} on {}".format(*note) if len(note) == 2 else "pid unknown"


def make_way(paths: Iterable[Path], force: bool) -> None:
    """Raise a UserError for a folder where a run writes a file; `force` removes it."""
    both = [p for path in paths for p in (path, path.with_name(f"{path.name}.part"))]
    for path in [p for p in both if p.is_dir() or (p.name == "lock" and p.is_symlink())]:
        if not force:
            raise UserError(
                f"{path}: no file, where a run has one; move it away, or remove it with force=true"
            )
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
