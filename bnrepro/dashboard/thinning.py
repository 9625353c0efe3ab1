"""Curves of thousands of points with fewer of them: the extremes of equal runs of rows."""

from typing import NamedTuple

import numpy as np


class Thinned(NamedTuple):
    """What is kept of a curve: every value is one that was recorded."""

    rows: np.ndarray  # numbers of the rows kept, rising
    values: np.ndarray  # at these rows
    means: np.ndarray | None  # of each bucket, from which a smoothed or a mean curve is made
    size: float  # rows a bucket; 1: every row with a value is kept


def thin(column: np.ndarray, buckets: int) -> Thinned:
    """The minimum and maximum of each of `buckets` equal runs of rows, and the first and last row.

    Rows without a value are left out first; a curve of up to 2 · buckets values stays whole.
    """
    rows = np.flatnonzero(~np.isnan(column))
    values = column[rows]
    if len(rows) <= 2 * buckets:
        return Thinned(rows, values, None, 1.0)
    starts = np.arange(buckets) * len(rows) // buckets
    lengths = np.diff(starts, append=len(rows))
    means = np.add.reduceat(values, starts) / lengths
    ends = [0, len(rows) - 1]
    kept = np.unique(np.concatenate([ends, *_extremes(values, starts, lengths)]))
    return Thinned(rows[kept], values[kept], means, len(rows) / buckets)


def _extremes(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Where each bucket has its minimum and its maximum, the first of equals."""
    bucket = np.repeat(np.arange(len(starts)), lengths)
    found = []
    for extreme in (np.minimum, np.maximum):
        places = np.flatnonzero(values == np.repeat(extreme.reduceat(values, starts), lengths))
        found.append(places[np.unique(bucket[places], return_index=True)[1]])
    return found
