"""Which examples share a mini-batch: three ways to shuffle, keyed by seed and epoch.

`fixed`    mini-batches composed once; only their order changes, so the same examples always meet
           (Section 4.2.1 before its change 6)
`shards`   examples dealt out to shards once; an epoch visits these in a new order and shuffles the
           examples within each (change 6)
`full`     one permutation of all examples an epoch
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bnrepro.seeding import stream

MODES = ("fixed", "shards", "full")


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
    dealt = torch.randperm(size, generator=stream(seed, "order", "shards"))
    parts = dealt.tensor_split(shards)
    visits = torch.randperm(len(parts), generator=generator).tolist()
    shuffled = [parts[i][torch.randperm(len(parts[i]), generator=generator)] for i in visits]
    return torch.cat(shuffled)[: count * batch].view(count, batch)


def batches_of_seeds(seeds: Sequence[int], epoch: int, size: int, batch: int) -> Tensor:
    """Indices (S, batches, batch) of many networks' epoch in full order, by each one's seed."""
    each = {seed: epoch_batches("full", seed, epoch, size, batch) for seed in set(seeds)}
    return torch.stack([each[seed] for seed in seeds])


@dataclass(frozen=True)
class Order:
    """The place of each step in the endless sequence of one seed's epochs."""

    mode: str  # full | shards | fixed
    seed: int
    size: int  # training examples
    batch: int  # examples a step and part
    shards: int = 1
    part: int = 0  # which part of each step's examples, from 0
    parts: int = 1  # how many processes share a step's examples out

    def place(self, step: int) -> tuple[int, int]:
        """The epoch of a step (from 0) and the number of its mini-batch in it."""
        return divmod(step, self.size // (self.batch * self.parts))

    def batches(self, epoch: int) -> Tensor:
        """This part's indices (steps, batch): one process with batch · parts examples a step would
        see all the parts' side by side."""
        whole = self.batch * self.parts
        steps = epoch_batches(self.mode, self.seed, epoch, self.size, whole, self.shards)
        return steps[:, self.part * self.batch : (self.part + 1) * self.batch]
