"""Which examples share a mini-batch: three ways to shuffle, keyed by seed and epoch.

`full`     one permutation of all examples an epoch (change 6 of Section 4.2.1: more thorough)
`shards`   shards visited in a new order each epoch, examples shuffled within their shard alone, so
           that neighbours of the stored order keep meeting
`fixed`    mini-batches composed once; only their order changes, so the same examples always meet
"""

import torch
from torch import Tensor

from bnrepro.seeding import stream

MODES = ("full", "shards", "fixed")


def epoch_batches(
    mode: str, seed: int, epoch: int, size: int, batch: int, shards: int = 1
) -> Tensor:
    """Indices (batches, batch) of an epoch; the last, incomplete mini-batch is dropped."""
    generator, count = stream(seed, "order", epoch), size // batch
    if mode == "full":
        order = torch.randperm(size, generator=generator)
        return order[: count * batch].view(count, batch)
    if mode == "fixed":
        composed = torch.randperm(size, generator=stream(seed, "order", "fixed"))
        composed = composed[: count * batch].view(count, batch)
        return composed[torch.randperm(count, generator=generator)]
    parts = torch.arange(size).tensor_split(shards)
    visits = torch.randperm(len(parts), generator=generator).tolist()
    shuffled = [parts[i][torch.randperm(len(parts[i]), generator=generator)] for i in visits]
    return torch.cat(shuffled)[: count * batch].view(count, batch)
