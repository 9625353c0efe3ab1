"""Which images a folder holds, as torchvision's `ImageFolder` finds them, and what is left out.

Images are found by their names' ends at any depth, and links are followed. Unlike torchvision,
hidden files are left out, and a folder that links lead to again is read once, so that links in a
loop come to an end.
"""

import errno
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

# torchvision.datasets.folder.IMG_EXTENSIONS, whose import takes seconds
IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
SHOWN = 3  # of many names, the first few
FOLDER, IMAGE = "folder", "image"


class Found(NamedTuple):
    """An image file."""

    name: str  # relative to the set's root
    size: int  # bytes
    changed: int  # ns since 1970


class LeftOut(NamedTuple):
    """What is not read, and why."""

    reason: str
    name: str


def list_images(root: Path, folder: str, left: list[LeftOut]) -> list[Found]:
    """The images under `root/folder`, by name."""
    images, pending = [], [folder]
    seen = _above(root / folder)
    while pending:
        here = pending.pop(0)
        real = os.path.realpath(root / here)
        if real in seen or not os.path.isdir(real):
            left += [LeftOut("looping or repeated link", here)] if real in seen else []
            continue
        seen.add(real)
        entries = _entries(root / here)
        left += [] if entries else [LeftOut("empty folder", here)]
        for entry in entries:
            kind, name = _kind(entry), f"{here}/{entry.name}"
            if kind == FOLDER:
                pending.insert(len(pending) if entry.is_symlink() else 0, name)  # links last
            elif kind == IMAGE:
                info = entry.stat()
                images.append(Found(name, info.st_size, info.st_mtime_ns))
            elif kind is not None:
                left.append(LeftOut(kind, name))
    return sorted(images, key=lambda image: os.fsencode(image.name))


def list_folders(root: Path, folder: str, left: list[LeftOut]) -> list[str]:
    """The names of the folders in `root/folder`, in order."""
    names, above = [], _above(root / folder / "any")
    for entry in _entries(root / folder):
        kind, name = _kind(entry), f"{folder}/{entry.name}"
        if kind == FOLDER and os.path.realpath(entry.path) in above:
            left.append(LeftOut("looping or repeated link", name))
        elif kind == FOLDER:
            names.append(entry.name)
        elif kind is not None:
            left.append(LeftOut("loose image" if kind == IMAGE else kind, name))
    return names


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """In an order that does not depend on the locale's encoding."""
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _above(folder: Path) -> set[str]:
    """The folders that hold it: by its name, and where it really is."""
    parents = Path(os.path.realpath(folder.parent)), Path(os.path.realpath(folder)).parent
    return {str(path) for parent in parents for path in (parent, *parent.parents)}


def _kind(entry: os.DirEntry[str]) -> str | None:
    """FOLDER, IMAGE, or why the entry is left out; None for hidden files that are no images."""
    looks = entry.name.lower().endswith(IMAGES)
    hidden = entry.name.startswith(".")
    try:
        if entry.is_dir():
            return "hidden folder" if hidden else FOLDER
        if hidden:
            return "hidden image" if looks else None
        mode = entry.stat().st_mode
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
            raise
        return "looping or repeated link" if error.errno == errno.ELOOP else "broken link"
    if not looks:
        return "unsupported file"
    return IMAGE if stat.S_ISREG(mode) else "special file"


def say_left_out(root: Path, left: Sequence[LeftOut]) -> None:
    """Name what was left out in one line: a count a reason, with the first few names."""
    if not left or os.environ.get("RANK", "0") != "0":  # one process of many says it
        return
    reasons: dict[str, list[str]] = {}
    for reason, name in sorted(left):
        reasons.setdefault(reason, []).append(name)
    parts = ", ".join(some(names, reason) for reason, names in reasons.items())
    log.warning("%s: left out %s; images end in %s", root, parts, ", ".join(IMAGES))


def some(names: Sequence[str], what: str) -> str:
    """A count and the first few names: "12 images (a, b, c, …)"."""
    plural = what + ("" if len(names) == 1 else "es" if what.endswith("s") else "s")
    shown = [name if name.isprintable() else repr(name)[1:-1] for name in names[:SHOWN]]
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)} {plural} ({', '.join(shown)}{more})"
