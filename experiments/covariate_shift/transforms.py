"""BN with a shift put back: behind γ x̂ + β every unit is moved and scaled at random, step by step.

    y = s (γ x̂ + β) + m,   m ~ N(0, κ²),   ln s ~ N(−κ²/2, κ²)

m and s are drawn anew for every unit at every step, the same for all examples of a mini-batch, so
that they change the distribution and tell no examples apart. Their means are 0 and 1: at test time
the noise is left out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bnrepro.models.mlp import SlotMLP
from bnrepro.models.transforms import BatchTransform, Statistics, Transform, Transformed
from bnrepro.seeding import stream


class Noise(NamedTuple):
    """What one layer's units are moved and scaled by at one step, (S, 1, C) each."""

    mean: Tensor
    scale: Tensor


class NoisyBatchTransform(BatchTransform):
    """BN and noise of strength κ behind it.

    Args:
        eps: ε inside the root.
        strength: κ; with 0 it is BN.
        seeds: of the slots; slots of one seed get the same noise.
    """

    def __init__(self, eps: float, strength: float, seeds: Sequence[int]) -> None:
        super().__init__(eps)
        self.strength, self.seeds = strength, list(seeds)
        self.drawn: dict[str, tuple[int, Noise]] = {}  # the latest, by layer, with its step

    @property
    def estimator(self) -> Transform:
        """BN without the noise."""
        return BatchTransform(self.eps)

    def forward(self, net: SlotMLP, name: str, x: Tensor, statistics: Statistics) -> Transformed:
        """s (γ x̂ + β) + m with the noise of the present step; without noise at test time."""
        values, state = super().forward(net, name, x, statistics)
        if statistics != "batch":
            return Transformed(values, state)
        noise = self.noise(name, net.updates, values)
        return Transformed(torch.addcmul(noise.mean, values, noise.scale), state)

    def backward(
        self, net: SlotMLP, name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        """∂ℓ/∂x from d = ∂ℓ/∂y, through s and through BN."""
        noise = self.noise(name, net.updates, d)
        return super().backward(net, name, d * noise.scale, state, grads)

    def noise(self, name: str, step: int, like: Tensor) -> Noise:
        """The noise of a layer at a step, keyed by seed, layer and step."""
        if name not in self.drawn or self.drawn[name][0] != step:
            self.drawn[name] = step, self._draw(name, step, like)
        return self.drawn[name][1]

    def _draw(self, name: str, step: int, like: Tensor) -> Noise:
        shape = (2, 1, like.shape[-1])
        each = {
            seed: torch.randn(shape, generator=stream(seed, "noise", name, step))
            for seed in set(self.seeds)
        }
        drawn = torch.stack([each[seed] for seed in self.seeds], 1).to(like) * self.strength
        return Noise(drawn[0], (drawn[1] - self.strength**2 / 2).exp())
