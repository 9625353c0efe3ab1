"""Asynchronous SGD (Dean et al. 2012), made deterministic: replicas that take turns.

R replicas share one optimiser, the server's. Replica t mod R makes update t: it computes the
gradient on the next mini-batch at the parameters that it fetched after its last push, pushes the
gradient, and fetches anew. So a gradient is R − 1 updates old: update t takes it at the parameters
that update t − R left, the first R updates at the initial ones. With R = 1 this is SGD.

BN normalises by the replica's mini-batch, as the paper's replicas did; the moving averages are the
server's.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class Replicas:
    """The copies of the parameters that R replicas hold.

    Args:
        server: the parameters that the optimiser updates; they stay where they are.
        count: R, at least 2.
        warm_start: updates that one replica makes alone before the others join.
    """

    def __init__(self, server: Sequence[Tensor], count: int, warm_start: int = 0) -> None:
        self.server, self.warm_start = [p.detach() for p in server], warm_start
        self.copies = [[p.clone() for p in self.server] for _ in range(count)]

    @contextlib.contextmanager
    def fetched(self, parameters: Sequence[Tensor], update: int) -> Iterator[None]:
        """Let `parameters` have the values that the update's replica fetched, then the server's."""
        if update >= self.warm_start:
            for parameter, copy in zip(parameters, self._copy(update), strict=True):
                parameter.data = copy
        try:
            yield
        finally:
            for parameter, value in zip(parameters, self.server, strict=True):
                parameter.data = value

    def turn(self, update: int) -> tuple[int, bool, bool]:
        """What decides which copies an update reads and writes: the replica whose turn it is,
        whether the others have joined, and whether they join after it."""
        joined, joins = update >= self.warm_start, update + 1 == self.warm_start
        return update % len(self.copies), joined, joins

    def fetch(self, update: int) -> None:
        """Let the replica that has pushed this update fetch; after a warm start all replicas do."""
        first = update + 1 == self.warm_start
        for copy in self.copies if first else [self._copy(update)]:
            torch._foreach_copy_(copy, self.server)

    def _copy(self, update: int) -> list[Tensor]:
        return self.copies[update % len(self.copies)]

    def state_dict(self) -> list[list[Tensor]]:
        """Every replica's parameters."""
        return self.copies

    def load_state_dict(self, state: Sequence[Sequence[Tensor]]) -> None:
        """Give every replica its parameters back."""
        for copy, saved in zip(self.copies, state, strict=True):
            torch._foreach_copy_(copy, [s.to(c.device) for s, c in zip(saved, copy, strict=True)])
