"""Columns as bytes that a page decodes in milliseconds: exact, and small before compression.

A column of the page is one of

    {"c": value}                     the same in every row
    {"d": at, "n": rows, "s": scale} whole numbers of 1/scale, as differences: int32
    {"f": at, "n": rows}             float32: seven digits, as many as records have
    {"g": at, "n": rows}             float64, where a number is too large or small for float32
    {"w": words, "u": at, "n": rows} words, as numbers of one or two bytes
    {"rows": …, "values": …, "means": …, "size": rows a bucket}   thinned

where `at` is a place in the bytes of its set. Equal columns share their bytes.
"""

import base64
import gzip
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bnrepro.dashboard.columns import Column
from bnrepro.dashboard.thinning import thin

SCALES = (1, 10, 100, 1000, 10_000, 100_000)
LARGEST = 2**31 - 1
BAND = ("p15", "median", "p85")
Encoded = dict[str, Any]


class Bytes:
    """The bytes of one set."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.length = 0
        self.known: dict[bytes, int] = {}

    def add(self, values: np.ndarray) -> int:
        """The place of these values."""
        content = values.tobytes()
        if content not in self.known:
            self.known[content] = self.length
            padded = content + bytes(-len(content) % 8)
            self.parts.append(padded)
            self.length += len(padded)
        return self.known[content]

    def text(self) -> str:
        """All of them, compressed, as text."""
        return base64.b64encode(gzip.compress(b"".join(self.parts), 6, mtime=0)).decode()


def encode(column: Column, into: Bytes) -> Encoded:
    """A column with all its rows."""
    if isinstance(column, list):
        return _encode_words(column, into)
    return encode_numbers(np.asarray(column), into)


def thinned(columns: Mapping[str, Column], into: Bytes, buckets: int) -> dict[str, Encoded]:
    """Columns with their extremes in each of `buckets` runs of rows.

    The percentiles of one band keep the same rows, those of the extremes of each.
    """
    numbers = {name: np.asarray(column) for name, column in columns.items()}
    kept = {name: thin(column, buckets) for name, column in numbers.items()}
    encoded = {}
    for name, column in numbers.items():
        rows = np.unique(np.concatenate([kept[other].rows for other in _band(name, kept)]))
        encoded[name] = {
            "rows": encode_numbers(rows.astype(float), into),
            "values": encode_numbers(column[rows], into),
            "size": kept[name].size,
        }
        if (means := kept[name].means) is not None:
            encoded[name]["means"] = {"f": into.add(means.astype(np.float32)), "n": len(means)}
    return encoded


def _band(name: str, names: Iterable[str]) -> list[str]:
    """The percentiles of the same inputs as this one; of another column, the column alone."""
    part, _, rest = name.partition("_")
    others = [f"{other}_{rest}" for other in BAND]
    return others if part in BAND and set(others) <= set(names) else [name]


def encode_numbers(numbers: np.ndarray, into: Bytes) -> Encoded:
    """Numbers in the smallest of the forms that keep them."""
    if len(numbers) and (numbers == numbers[0]).all():
        return {"c": float(numbers[0]), "n": len(numbers)}
    if (scaled := _whole(numbers)) is not None:
        scale, steps = scaled
        return {"d": into.add(steps), "n": len(numbers), "s": scale}
    if _fits(numbers):
        return {"f": into.add(numbers.astype(np.float32)), "n": len(numbers)}
    return {"g": into.add(numbers), "n": len(numbers)}


def _fits(numbers: np.ndarray) -> bool:
    """Whether float32 has these numbers' magnitudes."""
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    limits = np.finfo(np.float32)
    return not len(sizes) or bool(sizes.max() < limits.max and sizes.min() > limits.tiny)


def _whole(numbers: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The scale and differences of multiples of 1/scale, if all are just that and these small."""
    if not len(numbers) or not np.isfinite(numbers).all():
        return None
    for scale in SCALES:
        whole = np.rint(numbers * scale)
        steps = np.diff(whole, prepend=0)
        if np.abs(steps).max() > LARGEST:
            return None
        if (whole / scale == numbers).all():
            return scale, steps.astype(np.int32)
    return None


def _encode_words(words: list[str], into: Bytes) -> Encoded:
    distinct = list(dict.fromkeys(words))
    if len(distinct) == 1:
        return {"c": distinct[0], "n": len(words)}
    numbers = {word: i for i, word in enumerate(distinct)}
    kind = np.uint8 if len(distinct) < 256 else np.uint16
    at = into.add(np.array([numbers[w] for w in words], dtype=kind))
    return {"w": distinct, "u": at, "n": len(words)}
