"""Files as this project keeps them: contents whole or absent, text in UTF-8 whatever the locale."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from bnrepro.errors import UserError


def expand(path: str | Path) -> Path:
    """The path with a leading `~` or `~user` replaced by that home folder."""
    return Path(os.path.expanduser(path))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise a UserError, one line that names the file, for what the disk refuses to read."""
    try:
        yield
    except OSError as error:
        place = error.filename if error.filename is not None else path
        raise UserError(
            f"{os.fspath(place)}: cannot be read ({error.strerror or error}); check the path and"
            " its permissions"
        ) from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises a UserError for other contents, an OSError for a file that cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not text in UTF-8 (byte {error.start}); restore or delete it"
        ) from error


def read_bytes(path: Path) -> bytes | None:
    """What a file holds; None without one. Raises a UserError for a file that cannot be read."""
    with reading(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def parse_yaml(text: str) -> Any:
    """What a text in YAML says. Raises a YAMLError.

    PyYAML's loader in C is ten times as fast as its own in Python, but a file that is nothing but
    brackets ends the process: it is for the files of configs/.
    """
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise a UserError, one line on what is kept and what to do, for a disk that fails."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); what was recorded before is "
            "kept: make room, or name another folder if the command takes one (results=…), and run "
            "the same command again"
        ) from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file by `replacing`, text in UTF-8. Raises a UserError where the disk fails."""
    with writing(path), replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write beside `path`, which takes its place when the block ends without an error.

    A reader sees the old contents or the new ones, after a power cut too. Folders are made.
    Raises an OSError where the disk fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the file system can do that."""
    with contextlib.suppress(OSError):  # the file is in its place; some disks sync no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
