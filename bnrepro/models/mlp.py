"""The network of Section 4.1, many times at once.

`SlotMLP` holds S independent multilayer perceptrons ("slots": seeds, or cells of a grid) whose
parameters are stacked along dimension 0, so that one batched matrix product serves them all.
A hidden layer computes y = g(Wu + b), or y = g(BN(Wu)) where b would be redundant (Section 3.2).
Gradients are written out in closed form: those of BN are the six of Section 3.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from bnrepro.config import ModelConfig
from bnrepro.norm import normalize, normalize_backward
from bnrepro.seeding import stream

Statistics = Literal["batch", "moving", "population"]


@dataclass(frozen=True)
class Slot:
    """One network to train: a seed with the settings that may differ between neighbours."""

    seed: int
    lr: float
    init_std: float


class HiddenLayer(NamedTuple):
    """What the forward pass of one hidden layer leaves for the backward pass and the probes."""

    u: Tensor  # (S, N, inputs), or (N, inputs) shared by the slots
    x_hat: Tensor | None  # (S, N, units), with BN
    inv_std: Tensor | None  # (S, 1, units), with BN
    mean: Tensor | None  # (S, 1, units), with BN
    var: Tensor | None  # (S, 1, units), biased, with BN
    a: Tensor  # (S, N, units), the nonlinearity's input: γx̂ + β, or Wu + b
    y: Tensor  # (S, N, units), g(a)


class SlotMLP:
    """S multilayer perceptrons with parameters `<layer>.weight` (S, inputs, units), and so on.

    Layers are `hidden1`, `hidden2`, … and `output`. A slot's initial weights depend on its seed,
    its standard deviation and the layer's name alone, so both arms start from the same weights.
    """

    def __init__(
        self,
        model: ModelConfig,
        slots: Sequence[Slot],
        inputs: int,
        classes: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.batch_norm = model.norm == "batch"
        self.sigmoid = model.activation == "sigmoid"
        self.eps, self.momentum = model.eps, model.bn_momentum
        self.hidden = [f"hidden{i + 1}" for i in range(len(model.hidden))]
        widths = [inputs, *model.hidden, classes]
        self.params: dict[str, Tensor] = {}
        self.moving: dict[str, Tensor] = {}
        self.population: dict[str, Tensor] = {}
        for name, fan_in, fan_out in zip(
            [*self.hidden, "output"], widths[:-1], widths[1:], strict=True
        ):
            weights = [initial_weight(model, slot, name, fan_in, fan_out) for slot in slots]
            self.params[f"{name}.weight"] = torch.stack(weights).to(device, dtype)
            zeros = torch.zeros(len(slots), 1, fan_out, device=device, dtype=dtype)
            if self.batch_norm and name != "output":
                self.params[f"{name}.gamma"] = zeros + 1
                self.params[f"{name}.beta"] = zeros.clone()
                self.moving[f"{name}.mean"] = zeros.clone()
                self.moving[f"{name}.var"] = zeros + 1
            else:
                self.params[f"{name}.bias"] = zeros

    def forward(
        self, x: Tensor, statistics: Statistics = "batch"
    ) -> tuple[Tensor, list[HiddenLayer]]:
        """Logits (S, N, classes) and every hidden layer's values.

        `statistics` says what BN normalises with: the batch itself (training), the moving
        averages, or Algorithm 2's population statistics. None of these is changed by it.
        """
        layers: list[HiddenLayer] = []
        u = x
        for name in self.hidden:
            layers.append(self._hidden(name, u, statistics))
            u = layers[-1].y
        return self._affine("output", u), layers

    def _hidden(self, name: str, u: Tensor, statistics: Statistics) -> HiddenLayer:
        if not self.batch_norm:
            a = self._affine(name, u)
            return HiddenLayer(u, None, None, None, None, a, self._activate(a))
        wu = product(u, self.params[f"{name}.weight"])
        if statistics == "batch":
            x_hat, mean, var, inv_std = normalize(wu, (1,), self.eps)
        else:
            chosen = self.moving if statistics == "moving" else self.population
            mean, var = chosen[f"{name}.mean"], chosen[f"{name}.var"]
            inv_std = (var + self.eps).rsqrt()
            x_hat = wu.sub_(mean).mul_(inv_std)
        a = torch.addcmul(self.params[f"{name}.beta"], x_hat, self.params[f"{name}.gamma"])
        return HiddenLayer(u, x_hat, inv_std, mean, var, a, self._activate(a))

    def _affine(self, name: str, u: Tensor) -> Tensor:
        weight, bias = self.params[f"{name}.weight"], self.params[f"{name}.bias"]
        return product(u, weight).add_(bias)

    def _activate(self, a: Tensor) -> Tensor:
        return torch.sigmoid(a) if self.sigmoid else torch.relu(a)

    def _activate_backward(self, dy: Tensor, y: Tensor) -> Tensor:
        if self.sigmoid:
            return torch.ops.aten.sigmoid_backward(dy, y)
        return torch.ops.aten.threshold_backward(dy, y, 0)

    def gradients(self, x: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean cross-entropy of each slot (S,) and its gradients, on its batch x (S, N, inputs).

        The moving averages take in this mini-batch (with the unbiased variance, m/(m−1)).
        """
        logits, layers = self.forward(x)
        losses, d = cross_entropy(logits, labels)
        grads = self._affine_backward("output", layers[-1].y, d)
        d = torch.bmm(d, self.params["output.weight"].mT)
        for name, layer in zip(reversed(self.hidden), reversed(layers), strict=True):
            d = self._activate_backward(d, layer.y)
            if self.batch_norm:
                d = self._norm_backward(name, layer, d, grads)
                grads[f"{name}.weight"] = torch.bmm(layer.u.mT, d)
            else:
                grads |= self._affine_backward(name, layer.u, d)
            if name != self.hidden[0]:
                d = torch.bmm(d, self.params[f"{name}.weight"].mT)
        self._update_moving(layers)
        return losses, grads

    def _affine_backward(self, name: str, u: Tensor, d: Tensor) -> dict[str, Tensor]:
        return {f"{name}.weight": torch.bmm(u.mT, d), f"{name}.bias": d.sum(1, keepdim=True)}

    def _norm_backward(
        self, name: str, layer: HiddenLayer, d: Tensor, grads: dict[str, Tensor]
    ) -> Tensor:
        assert layer.x_hat is not None
        assert layer.inv_std is not None
        gamma = self.params[f"{name}.gamma"]
        dx, grads[f"{name}.gamma"], grads[f"{name}.beta"] = normalize_backward(
            d, layer.x_hat, gamma, layer.inv_std, (1,)
        )
        return dx

    def _update_moving(self, layers: list[HiddenLayer]) -> None:
        for name, layer in zip(self.hidden, layers, strict=True):
            if layer.mean is not None and layer.var is not None:
                m = layer.a.shape[1]
                self.moving[f"{name}.mean"].lerp_(layer.mean, self.momentum)
                self.moving[f"{name}.var"].lerp_(layer.var * (m / (m - 1)), self.momentum)

    def estimate_population(self, batches: Sequence[Tensor]) -> None:
        """Algorithm 2: E[x] = E_B[μ_B] and Var[x] = m/(m−1) · E_B[σ²_B] over training batches."""
        means: dict[str, Tensor] = {key: torch.zeros_like(v) for key, v in self.moving.items()}
        for x in batches:
            for name, layer in zip(self.hidden, self.forward(x)[1], strict=True):
                assert layer.mean is not None
                assert layer.var is not None
                m = layer.a.shape[1]
                means[f"{name}.mean"] += layer.mean / len(batches)
                means[f"{name}.var"] += layer.var * (m / (m - 1) / len(batches))
        self.population = means


def in_float64(net: SlotMLP) -> SlotMLP:
    """A copy of the network with all its numbers in float64."""
    double = copy.copy(net)
    for name in ("params", "moving", "population"):
        setattr(double, name, {k: v.double() for k, v in getattr(net, name).items()})
    return double


def product(u: Tensor, weight: Tensor) -> Tensor:
    """Wu of every slot; `matmul` broadcasts a shared u, but is the slower one where it need not."""
    return torch.bmm(u, weight) if u.dim() == 3 else torch.matmul(u, weight)


def initial_weight(model: ModelConfig, slot: Slot, name: str, fan_in: int, fan_out: int) -> Tensor:
    """Gaussian weights (fan_in, fan_out): std `init_std`, or √(2/(fan_in+fan_out)) for glorot."""
    std = (2 / (fan_in + fan_out)) ** 0.5 if model.init == "glorot" else slot.init_std
    return std * torch.randn(fan_in, fan_out, generator=stream(slot.seed, "init", name))


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each slot's mean −log p(label) (S,), and its gradient at the logits (S, N, classes)."""
    log_p = torch.log_softmax(logits, dim=-1)
    index = labels.unsqueeze(-1)
    losses = log_p.gather(-1, index).mean((1, 2)).neg_()
    d = log_p.exp_().scatter_add_(-1, index, torch.full_like(index, -1, dtype=log_p.dtype))
    return losses, d.div_(labels.shape[1])
