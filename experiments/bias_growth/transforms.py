"""Normalisation without γ and β whose statistics may be constants of the gradient step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bnrepro.models.mlp import SlotMLP
from bnrepro.models.transforms import Statistics, Transform, Transformed
from bnrepro.norm import Normalized, normalize, normalize_backward


@dataclass(frozen=True)
class Arm:
    """A normalisation and the gradient through it."""

    transform: str  # centre: x − E[x]; scale: (x − E[x])/√(Var[x] + ε)
    gradient: str  # through: of the statistics too; outside: they are constants
    every: int = 1  # steps between refreshes of the statistics


class Normalisation(Transform):
    """x̂ of x = Wu + b by an arm's transform and gradient, for training alone.

    The statistics are those of the mini-batch of the steps 0, `every`, 2·`every`, …, held until
    the next refresh; `every` is 1 with the gradient through them, as in Algorithm 1.
    """

    normalises = True

    def __init__(self, arm: Arm, eps: float) -> None:
        self.arm, self.eps = arm, eps
        self.held: dict[str, Normalized] = {}  # the last refresh, by layer

    def forward(self, net: SlotMLP, name: str, x: Tensor, statistics: Statistics) -> Transformed:
        """x̂ = s (x − E[x]), and the statistics used: `inv_std` is s, 1 for centring."""
        if net.updates % self.arm.every == 0:
            self.held[name] = self._refresh(x)
        held = self.held[name]
        x_hat = (x - held.mean) * held.inv_std
        return Transformed(x_hat, held._replace(x_hat=x_hat))

    def _refresh(self, x: Tensor) -> Normalized:
        fresh = normalize(x, (1,), self.eps, corrected=False)
        if self.arm.transform == "scale":
            return fresh
        return fresh._replace(inv_std=torch.ones_like(fresh.inv_std))

    def backward(
        self, net: SlotMLP, name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        """∂ℓ/∂x (S, N, units) from d = ∂ℓ/∂x̂.

        Outside: s ∂ℓ/∂x̂. Through: s (∂ℓ/∂x̂ − its mean − x̂ · mean(x̂ ∂ℓ/∂x̂)), without the last term
        for centring.
        """
        if self.arm.gradient == "outside":
            return d * state.inv_std
        if self.arm.transform == "centre":
            return d - d.mean(1, keepdim=True)
        one = torch.ones_like(state.inv_std)
        return normalize_backward(d, state.x_hat, one, state.inv_std, (1,))[0]
