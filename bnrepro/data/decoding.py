"""Image files to tensors: one file, all files of a set into memory, and the check of a large set.

Importing this takes seconds (torchvision), so it is imported where images are decoded.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from bnrepro.data.folders import THREADS, Files, some
from bnrepro.errors import UserError

log = logging.getLogger(__name__)
T = TypeVar("T")

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
TAIL = 64  # bytes at the end of a file among which its end marker is looked for


class Unreadable(Exception):
    """A file that holds no whole image; the message is the reason."""


def decode(path: Path) -> Tensor:
    """The image as uint8 (3, H, W); grey, CMYK and transparent ones become RGB."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from error
    if not content:
        raise Unreadable("empty file")
    try:
        bytes_ = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        image = decode_image(bytes_, ImageReadMode.RGB)
    except RuntimeError as error:
        reason = str(error).splitlines()[0].rpartition(", ")[2]  # after the decoder's own place
        if "Unsupported image file" in str(error):
            reason = "no JPEG, PNG, WebP or GIF"
        raise Unreadable(reason) from error
    if image.dim() != 3:
        raise Unreadable("an animation")
    return image if image.dtype == torch.uint8 else (image.int() >> 8).to(torch.uint8)  # 16 bits


def centre(image: Tensor, size: int, shorter: int) -> Tensor:
    """The shorter side to `shorter` pixels, then the central square of `size` pixels."""
    if image.shape[-2:] != (size, size) or shorter != size:
        image = functional.resize(image, [shorter], antialias=True)
    return functional.center_crop(image, [size, size])


def decode_all(root: Path, files: Files, size: int, what: str) -> Tensor:
    """All images as uint8 (N, 3, size, size), decoded side by side.

    Raises UserError with a count and the first few of the files that are unreadable.
    """
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)

    def put(number: int) -> str | None:
        try:
            images[number] = centre(decode(root / files.name(number)), size, size)
        except Unreadable as reason:
            return f"{files.name(number)}: {reason}"
        return None

    _refuse(root, side_by_side(put, len(files), cores(), f"decoding {what}"))
    return images


def check_files(root: Path, files: Files, what: str) -> None:
    """Look at the two ends of every file; one that does not look whole is decoded to be sure.

    Raises UserError with a count and the first few of the files that are unreadable.
    """

    def look(number: int) -> str | None:
        path = root / files.name(number)
        try:
            if not _looks_whole(path):
                decode(path)
        except Unreadable as reason:
            return f"{files.name(number)}: {reason}"
        return None

    _refuse(root, side_by_side(look, len(files), max(cores(), THREADS), f"checking {what}"))


def _looks_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(len(JPEG_START))
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return start == JPEG_START and JPEG_END in file.read()
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from error


def _refuse(root: Path, verdicts: Iterable[str | None]) -> None:
    if bad := [verdict for verdict in verdicts if verdict is not None]:
        raise UserError(f"{root}: cannot read {some(bad, 'image')}; replace or delete them")


def cores() -> int:
    """Cores that this process may use; its share of them when several train together.

    Slurm says how many it gives each process; others let all processes have all cores.
    """
    if "SLURM_CPUS_PER_TASK" in os.environ:
        return int(os.environ["SLURM_CPUS_PER_TASK"])
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (available or 1) // processes)


def side_by_side(task: Callable[[int], T], count: int, threads: int, what: str) -> list[T]:
    """The task's results for 0 to count − 1, with a progress bar on a terminal."""
    log.info("%s: %s files", what, f"{count:,}")
    with ThreadPoolExecutor(threads) as pool:
        return list(_shown(pool.map(task, range(count)), count, what))


def _shown(results: Iterator[T], total: int, what: str) -> Iterable[T]:
    console = Console(stderr=True)
    if not console.is_terminal:
        return results
    return track(results, what, total, console=console, transient=True)
