"""Image files to tensors: one file, all files of a set into memory, and the check of a large set.

torchvision decodes JPEG files, Pillow all others; a file's contents decide, not its name. Importing
this takes seconds (torchvision), so it is imported where images are decoded.
"""

import io
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from bnrepro.data.folders import THREADS, Files
from bnrepro.data.listing import some
from bnrepro.errors import UserError
from bnrepro.machine import cores, memory

log = logging.getLogger(__name__)

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
TAIL = 64  # bytes at the end of a file among which its end marker is looked for
FORMATS = ("PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")  # beside JPEG
BACKGROUND = "white"  # of transparent images
ELONGATED = 4  # a longer side of more than so many shorter ones is cut before it is resized


class Unreadable(Exception):
    """A file that holds no whole image; the message is the reason."""


def decode(path: Path) -> Tensor:
    """The image as uint8 (3, H, W), upright as its EXIF orientation says.

    Grey, palette and CMYK images become RGB; of 16 bits the upper 8 are kept; transparent images
    lie on white; of several frames the first one counts. Raises Unreadable.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from error
    if not content:
        raise Unreadable("empty file")
    return _jpeg(content) if content.startswith(JPEG_START) else _other(content)


def _jpeg(content: bytes) -> Tensor:
    try:
        bytes_ = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return decode_image(bytes_, ImageReadMode.RGB, apply_exif_orientation=True)
    except RuntimeError as error:
        # after the place in the decoder's source
        reason = str(error).splitlines()[0].rpartition(", ")[2]
        raise Unreadable(reason) from error


def _other(content: bytes) -> Tensor:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            pixels = np.array(_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError as error:
        raise Unreadable(f"no image of a known kind (JPEG, {', '.join(FORMATS)})") from error
    except Exception as error:  # Pillow's decoders raise many kinds
        raise Unreadable((str(error).splitlines() or [type(error).__name__])[0]) from error
    # strides as torchvision's, which resizing heeds
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels")
    if image.mode.startswith("I"):  # which Pillow's conversions cut off at 255
        shades = np.asarray(image)
        if shades.min() < 0 or shades.max() >= 1 << 16:
            raise ValueError("more than 16 bits a pixel")
        image = Image.fromarray((shades >> 8).astype(np.uint8))
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, BACKGROUND)
        image = Image.alpha_composite(background, image.convert("RGBA"))
    return image.convert("RGB")


def centre(image: Tensor, size: int, shorter: int) -> Tensor:
    """The shorter side to `shorter` pixels, then the central square of `size` pixels."""
    if max(image.shape[-2:]) > ELONGATED * min(image.shape[-2:]):
        return _centre_of_elongated(image, size, shorter)
    if image.shape[-2:] != (size, size) or shorter != size:
        image = functional.resize(image, [shorter], antialias=True)
    return functional.center_crop(image, [size, size])


def _centre_of_elongated(image: Tensor, size: int, shorter: int) -> Tensor:
    """The same square, made of the part of the image that it shows: a panorama is not enlarged."""
    short = min(image.shape[-2:])
    ends = []
    for length in image.shape[-2:]:
        enlarged = int(shorter * length / short)
        start, scale = round((enlarged - size) / 2), length / enlarged
        ends.append((start * scale, min((start + size) * scale, length)))
    (top, bottom), (left, right) = ends
    whole = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    part = whole.resize((size, size), Image.Resampling.BILINEAR, (left, top, right, bottom))
    return torch.from_numpy(np.array(part)).permute(2, 0, 1)


def decode_all(root: Path, files: Files, size: int, what: str) -> Tensor:
    """All images as uint8 (N, 3, size, size), decoded side by side.

    Raises UserError with a count and the first few of the files that are unreadable, and before
    anything is read where the images cannot fit into memory.
    """
    needed = 3 * size**2 * len(files)
    if needed > memory():
        raise UserError(
            f"data.size={size}: {len(files):,} decoded images take {needed / 1e9:,.0f} GB, more"
            f" than this machine's memory ({memory() / 1e9:,.0f} GB); choose a smaller data.size,"
            " or data.stream=true where the experiment can stream"
        )
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)

    def put(number: int, path: Path) -> None:
        images[number] = centre(decode(path), size, size)

    _side_by_side(put, root, files, cores(), f"decoding {what}")
    return images


def check_files(root: Path, files: Files, what: str) -> None:
    """Look at the two ends of every file; one that does not look whole is decoded to be sure.

    Raises UserError with a count and the first few of the files that are unreadable.
    """

    def look(_: int, path: Path) -> None:
        if not _looks_whole(path):
            decode(path)

    _side_by_side(look, root, files, max(cores(), THREADS), f"checking {what}")


def _looks_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(len(JPEG_START))
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return start == JPEG_START and JPEG_END in file.read()
    except OSError as error:
        raise Unreadable(error.strerror or "cannot be read") from error


def _side_by_side(
    task: Callable[[int, Path], None], root: Path, files: Files, threads: int, what: str
) -> None:
    """Do the task for every file's number and path, with a progress bar on a terminal."""

    def problem(number: int) -> str | None:
        name = files.name(number)
        try:
            task(number, root / name)
        except Unreadable as reason:
            return f"{name}: {reason}"
        return None

    console, count = Console(stderr=True), len(files)
    log.info("%s: %s files", what, f"{count:,}")
    with ThreadPoolExecutor(threads) as pool:
        done: Iterable[str | None] = pool.map(problem, range(count))
        if console.is_terminal:
            done = track(done, what, count, console=console, transient=True)
        bad = [line for line in done if line is not None]
    if bad:
        raise UserError(f"{root}: cannot read {some(bad, 'image')}; replace or delete them")
