"""BN of layer inputs that are a nonlinearity's outputs: what Section 3.2 argues against."""

from typing import Any

from torch import Tensor

from bnrepro.models.mlp import SlotMLP
from bnrepro.models.transforms import BatchTransform, Statistics, Transformed


class HiddenInput(BatchTransform):
    """BN of every hidden layer's u but the first one's, which is the image and passes as it is."""

    def __init__(self, eps: float) -> None:
        super().__init__(eps, place="input")

    def forward(self, net: SlotMLP, name: str, x: Tensor, statistics: Statistics) -> Transformed:
        if name == net.hidden[0]:
            return Transformed(x, None)
        return super().forward(net, name, x, statistics)

    def backward(
        self, net: SlotMLP, name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        return d if state is None else super().backward(net, name, d, state, grads)

    def update(self, net: SlotMLP, name: str, state: Any, m: int) -> None:
        if state is not None:
            super().update(net, name, state, m)

    def freeze(self, state: Any) -> dict[str, Tensor]:
        return {} if state is None else super().freeze(state)
