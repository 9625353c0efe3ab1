"""Random streams that depend on a seed and a name alone.

Initialisation, data order, augmentation and dropout each draw from a stream of their own, so
switching one of them on or off leaves the others as they were: both arms of a comparison start
from the same weights and see the same mini-batches.
"""

import hashlib

import torch


def derived(seed: int, number: int) -> int:
    """A seed of its own for each number; for 0 the seed itself."""
    return stream(seed, "draws", number).initial_seed() if number else seed


def stream(seed: int, *names: object) -> torch.Generator:
    """A CPU generator keyed by the seed and the stream's names, e.g. `stream(0, "init", "h1")`."""
    key = "/".join(map(str, (seed, *names))).encode()
    digest = hashlib.blake2b(key, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
