"""The folder in which data sets are kept once fetched or decoded.

What it holds under its final name is complete, for it got there by one rename. So a complete cache
is read without a lock, and may be read-only or someone else's.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from bnrepro.errors import UserError
from bnrepro.files import reading


def ensure(place: Path, make: Callable[[], None]) -> bool:
    """Have `make` put a file or folder into the cache unless it is there; whether it did.

    Of many processes one makes it, while the others wait. Raises UserError where the disk fails.
    """
    with reading(place):
        if _present(place):
            return False
    cache = place.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # mode: members of a group that share the cache take the same lock
        with FileLock(cache / f".{place.name}.lock", mode=0o666):
            if _present(place):
                return False
            make()
            return True
    except (OSError, NotImplementedError) as error:  # the latter: a disk without locks
        raise UserError(
            f"cannot write the data cache {cache} ({getattr(error, 'strerror', None) or error});"
            " make it writable, free space, or choose another cache folder"
        ) from error


def _present(place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.exists()


@contextlib.contextmanager
def workplace(place: Path) -> Iterator[Path]:
    """An empty folder beside `place` to prepare it in, removed at the end.

    Its name is fixed: what a killed process left is cleared by the next one. It is absolute: the
    registries' clients run inside it.
    """
    folder = place.resolve().with_name(f".fetch-{place.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
