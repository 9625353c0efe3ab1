"""IDX, the file format of MNIST and Fashion-MNIST: read, verify, write.

A header of big-endian 32-bit words (a magic number whose last byte counts the dimensions, then
one size each) is followed by the raw bytes. torchvision reads it too, but answers a damaged file
with a bare assertion; here each kind of damage gets a line that says what to do.
"""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bnrepro.data.dataset import Dataset
from bnrepro.errors import UserError

# in the order of Dataset's tensors
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MAGIC = {"images": 0x0803, "labels": 0x0801}
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(
    checksums: Mapping[str, str], subfolder: str, name: str, folder: Path, source: str, remedy: str
) -> Dataset:
    """The set in `folder`, or in its `subfolder`, where torchvision keeps it.

    The files are verified against the SHA-256 of their unpacked contents. `remedy` ends every
    error: what to do depends on where the folder comes from.

    Raises UserError for a missing, damaged, mismatched or unknown file.
    """
    if any(_find(folder / subfolder, file) for file in FILES):
        folder = folder / subfolder
    paths = {file: path for file in FILES if (path := _find(folder, file))}
    if missing := [file for file in FILES if file not in paths]:
        raise UserError(f"{folder} lacks {', '.join(missing)} (raw or .gz); {remedy}")
    contents, tensors = {}, {}
    for file, path in paths.items():
        try:
            contents[file] = _unpack(path)
            tensors[file] = decode(contents[file], "images" if "images" in file else "labels")
        except ValueError as error:
            raise UserError(f"{path}: {error}; {remedy}") from error
    _check_counts(paths, tensors, remedy)
    for file, path in paths.items():
        if hashlib.sha256(contents[file]).hexdigest() != checksums[file]:
            raise UserError(f"{path}: wrong checksum, not the original's contents; {remedy}")
    images, labels, test_images, test_labels = tensors.values()
    return Dataset(name, source, images, labels, test_images, test_labels)


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _unpack(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        if path.suffix == ".gz":
            raise ValueError("not a gzip file, in spite of its name")
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"truncated or damaged gzip file ({error})") from error


def decode(content: bytes, kind: str) -> Tensor:
    """The images (uint8, N × height × width) or labels (int64, N) of one IDX file.

    Raises ValueError that says what is wrong with the contents.
    """
    magic = int.from_bytes(content[:4], "big")
    if len(content) >= 4 and magic != MAGIC[kind]:
        if magic not in MAGIC.values():
            raise ValueError(f"not an IDX file of {kind} (it starts with {content[:4].hex()})")
        other = "labels" if kind == "images" else "images"
        raise ValueError(f"holds {other} where {kind} belong; are the two files' names swapped?")
    dimensions = MAGIC[kind] & 0xFF
    start = 4 * (1 + dimensions)
    if len(content) < start:
        raise ValueError(f"truncated inside its header ({len(content)} bytes)")
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise ValueError(f"{state}: {len(content)} bytes where its header says {expected}")
    values = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(values.copy() if kind == "images" else values.astype(np.int64))


def _check_counts(paths: Mapping[str, Path], tensors: Mapping[str, Tensor], remedy: str) -> None:
    for images, labels in (FILES[:2], FILES[2:]):
        if len(tensors[images]) != len(tensors[labels]):
            raise UserError(
                f"{paths[images]}: {len(tensors[images])} images, but {len(tensors[labels])}"
                f" labels in {paths[labels].name}; {remedy}"
            )


def encode(tensor: Tensor) -> bytes:
    """The IDX file of images or labels; `decode` gives them back, byte for byte."""
    kind = "images" if tensor.dim() == 3 else "labels"
    header = struct.pack(f">{1 + tensor.dim()}I", MAGIC[kind], *tensor.shape)
    return header + tensor.to(torch.uint8).numpy().tobytes()
