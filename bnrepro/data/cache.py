"""The folder in which data sets are kept once fetched or decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from bnrepro.errors import UserError


@contextmanager
def held(cache: Path, name: str) -> Iterator[None]:
    """Make the cache and hold one thing in it, for of many processes one fetches. Raises a
    UserError where the disk fails."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{name}.lock"):
            yield
    except OSError as error:
        raise UserError(
            f"cannot write the data cache {cache} ({error.strerror or error}); make it writable,"
            " free space, or choose another cache folder"
        ) from error
