"""What normalises the hidden layers of a multilayer perceptron, and where.

A transform is a strategy of `SlotMLP`: it stands ahead of the nonlinearity, on x = Wu (the paper's
place, Section 3.2), on the layer's input u, or on the nonlinearity's output. Tensors are (S, N, C):
slots, examples, units.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from bnrepro.norm import Normalized, normalize, normalize_backward

if TYPE_CHECKING:
    from bnrepro.models.mlp import SlotMLP

Statistics = Literal["batch", "moving", "population"]
Place = Literal["preactivation", "input", "after"]


class Transformed(NamedTuple):
    """A transform's output, and what its backward pass and the probes need."""

    values: Tensor  # (S, N, C)
    state: Any


class Transform:
    """No normalisation: the values pass as they are."""

    place: Place = "preactivation"
    bias = True  # whether the layer learns b: redundant ahead of a transform that centres
    normalises = False
    initial: ClassVar[dict[str, float]] = {}  # first values of learned parameters, one a unit

    @property
    def estimator(self) -> "Transform":
        """What takes the statistics of a whole batch for inference: without what training adds."""
        return self

    def forward(self, net: "SlotMLP", name: str, x: Tensor, statistics: Statistics) -> Transformed:
        """The transform of layer `name`'s values x, with the statistics asked for."""
        return Transformed(x, None)

    def backward(
        self, net: "SlotMLP", name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        """∂ℓ/∂x from d = ∂ℓ/∂values; the gradients of learned parameters go into `grads`."""
        return d

    def update(self, net: "SlotMLP", name: str, state: Any, m: int) -> None:
        """Take a training mini-batch of m examples into the moving averages."""

    def freeze(self, state: Any) -> dict[str, Tensor]:
        """The statistics that inference needs, of the batch that left this state."""
        return {}


class Affine(Transform):
    """γ x̂ + β, with x̂ from a subclass: the learned part of Algorithm 1, line 4."""

    bias = False
    normalises = True
    initial: ClassVar[dict[str, float]] = {"gamma": 1.0, "beta": 0.0}

    def forward(self, net: "SlotMLP", name: str, x: Tensor, statistics: Statistics) -> Transformed:
        x_hat, state = self.standardise(net, name, x, statistics)
        gamma, beta = net.params[f"{name}.gamma"], net.params[f"{name}.beta"]
        return Transformed(torch.addcmul(beta, x_hat, gamma), state)

    def backward(
        self, net: "SlotMLP", name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        grads[f"{name}.gamma"] = (d * state.x_hat).sum(1, keepdim=True)
        grads[f"{name}.beta"] = d.sum(1, keepdim=True)
        return self.standardise_backward(d * net.params[f"{name}.gamma"], state)

    def standardise(
        self, net: "SlotMLP", name: str, x: Tensor, statistics: Statistics
    ) -> Transformed:
        """x̂, and a state that has it as `x_hat`."""
        raise NotImplementedError

    def standardise_backward(self, dx_hat: Tensor, state: Any) -> Tensor:
        """∂ℓ/∂x from ∂ℓ/∂x̂."""
        raise NotImplementedError


class BatchTransform(Affine):
    """Algorithm 1 on the mini-batch; for inference its linear form with fixed statistics.

    Args:
        eps: ε inside the root.
        momentum: weight of the new mini-batch in the moving averages.
        place: ahead of the nonlinearity, on the layer's input, or on the nonlinearity's output.
        group: examples that are normalised together, where many such mini-batches pass side by
            side; None: all are one mini-batch.
    """

    def __init__(
        self, eps: float, momentum: float = 0.1, place: Place = "preactivation",
        group: int | None = None,
    ) -> None:  # fmt: skip
        self.eps, self.momentum, self.place, self.group = eps, momentum, place, group
        self.bias = place != "preactivation"

    @property
    def estimator(self) -> Transform:
        if self.group is None:
            return self
        return BatchTransform(self.eps, self.momentum, self.place)

    def standardise(
        self, net: "SlotMLP", name: str, x: Tensor, statistics: Statistics
    ) -> Transformed:
        if statistics != "batch":
            fixed = net.moving if statistics == "moving" else net.population
            mean, var = fixed[f"{name}.mean"], fixed[f"{name}.var"]
            inv_std = (var + self.eps).rsqrt()
            x_hat = (x - mean).mul_(inv_std)
            return Transformed(x_hat, Normalized(x_hat, mean, var, inv_std))
        if self.group is None:
            state = normalize(x, (-2,), self.eps, corrected=False)
            return Transformed(state.x_hat, state)
        groups = x.unflatten(-2, (-1, self.group))
        state = normalize(groups, (-2,), self.eps, corrected=False)
        return Transformed(state.x_hat.flatten(-3, -2), state)

    def backward(
        self, net: "SlotMLP", name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        gamma = net.params[f"{name}.gamma"]
        if self.group is None:
            dx, grads[f"{name}.gamma"], grads[f"{name}.beta"] = normalize_backward(
                d, state.x_hat, gamma, state.inv_std, (1,)
            )
            return dx
        dx, dgamma, dbeta = normalize_backward(
            d.unflatten(1, (-1, self.group)), state.x_hat, gamma.unsqueeze(1), state.inv_std, (2,)
        )
        grads[f"{name}.gamma"], grads[f"{name}.beta"] = dgamma.sum(1), dbeta.sum(1)
        return dx.flatten(1, 2)

    def update(self, net: "SlotMLP", name: str, state: Any, m: int) -> None:
        mean, var = state.mean, state.var
        if self.group is not None:  # (S, G, 1, C)
            mean, var, m = mean.mean(1), var.mean(1), self.group
        net.moving[f"{name}.mean"].lerp_(mean, self.momentum)
        net.moving[f"{name}.var"].lerp_(var * (m / (m - 1)), self.momentum)

    def freeze(self, state: Any) -> dict[str, Tensor]:
        return {"mean": state.mean, "var": state.var}
