"""The network of Section 4.1, many times at once.

`SlotMLP` holds S independent multilayer perceptrons ("slots": seeds, or cells of a sweep) whose
parameters are stacked along dimension 0, so that one batched matrix product serves them all.
A hidden layer computes z = g(T(Wu)), or z = g(Wu + b) where nothing normalises; what T is and where
it stands is a strategy (`transforms.py`). Gradients are written out in closed form: those of BN are
the six of Section 3.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bnrepro.config.schema import ModelConfig
from bnrepro.models.lit import LitImages
from bnrepro.models.transforms import BatchTransform, Statistics, Transform
from bnrepro.seeding import stream


@dataclass(frozen=True)
class Slot:
    """One network to train: a seed with the settings that may differ between neighbours."""

    seed: int
    lr: float
    init_std: float
    weight_decay: float = 0.0  # L2 on the weights alone
    dropout: float = 0.0  # share of each hidden layer's outputs that are 0 in a training step


class HiddenLayer(NamedTuple):
    """The values of one hidden layer, for its backward pass and for probes."""

    u: Tensor  # (S, N, inputs), or (N, inputs) shared by the slots: the layer's input; or LitImages
    v: Tensor  # what W multiplies: u, or the transform of u
    x: Tensor  # (S, N, units), Wu or Wu + b, before any transform
    a: Tensor  # (S, N, units), the nonlinearity's input
    y: Tensor  # (S, N, units), g(a)
    z: Tensor  # (S, N, units), the layer's output: y, or the transform of y
    state: Any  # of the transform: with BN `Normalized`
    mask: Tensor | None = None  # what Dropout multiplied z by


class SlotMLP:
    """S multilayer perceptrons with parameters `<layer>.weight` (S, inputs, units), and so on.

    Layers are `hidden1`, `hidden2`, … and `output`. A slot's initial weights depend on its seed,
    its standard deviation and the layer's name alone, so both arms start from the same weights.

    Args:
        model: widths, activation, initialisation and, unless `transform` is given, what normalises.
        slots: one network each.
        transform: what normalises the hidden layers, and where.
    """

    def __init__(
        self, model: ModelConfig, slots: Sequence[Slot], inputs: int, classes: int,
        device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32,
        transform: Transform | None = None,
    ) -> None:  # fmt: skip
        if transform is None:
            by_batch = model.norm == "batch"
            transform = BatchTransform(model.eps, model.bn_momentum) if by_batch else Transform()
        self.transform = transform
        self.sigmoid = model.activation == "sigmoid"
        self.hidden = [f"hidden{i + 1}" for i in range(len(model.hidden))]
        self.params: dict[str, Tensor] = {}
        self.moving: dict[str, Tensor] = {}
        self.population: dict[str, Tensor] = {}
        self.updates = 0  # mini-batches whose gradients were taken
        widths = [inputs, *model.hidden, classes]
        for i, name in enumerate([*self.hidden, "output"]):
            fan_in, fan_out = widths[i], widths[i + 1]
            weights = [initial_weight(model, slot, name, fan_in, fan_out) for slot in slots]
            self.params[f"{name}.weight"] = torch.stack(weights).to(device, dtype)
            self._add_vectors(name, fan_in, fan_out)

    def _add_vectors(self, name: str, fan_in: int, fan_out: int) -> None:
        """The layer's bias, the transform's parameters and its moving averages."""
        like, transform = self.params[f"{name}.weight"], self.transform
        if name == "output" or transform.bias:
            self.params[f"{name}.bias"] = like.new_zeros(len(like), 1, fan_out)
        if name == "output":
            return
        units = fan_in if transform.place == "input" else fan_out
        for key, value in transform.initial.items():
            self.params[f"{name}.{key}"] = like.new_full((len(like), 1, units), value)
        if isinstance(transform, BatchTransform):
            self.moving[f"{name}.mean"] = like.new_zeros(len(like), 1, units)
            self.moving[f"{name}.var"] = like.new_ones(len(like), 1, units)

    def forward(
        self,
        x: Tensor | LitImages,
        statistics: Statistics = "batch",
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, list[HiddenLayer]]:
        """Logits (S, N, classes) and every hidden layer's values, of x (S, N, inputs).

        x may be (N, inputs), shared by the slots. `statistics` says what BN normalises with: the
        batch itself (training), the moving averages, or Algorithm 2's population statistics. None
        of these is changed by it. `masks` are Dropout's factors of each hidden layer's output.
        """
        layers: list[HiddenLayer] = []
        u: Any = x
        for i, name in enumerate(self.hidden):
            layers.append(self._hidden(name, u, statistics, masks[i] if masks else None))
            u = layers[-1].z
        return self._affine("output", u), layers

    def _hidden(
        self, name: str, u: Tensor, statistics: Statistics, mask: Tensor | None
    ) -> HiddenLayer:
        place, state = self.transform.place, None
        v = u
        if place == "input":
            v, state = self.transform.forward(self, name, u, statistics)
        x = a = self._affine(name, v)
        if place == "preactivation":
            a, state = self.transform.forward(self, name, x, statistics)
        y = z = torch.sigmoid(a) if self.sigmoid else torch.relu(a)
        if place == "after":
            z, state = self.transform.forward(self, name, y, statistics)
        if mask is not None:
            z = z * mask
        return HiddenLayer(u, v, x, a, y, z, state, mask)

    def _affine(self, name: str, u: Tensor) -> Tensor:
        wu = product(u, self.params[f"{name}.weight"])
        bias = self.params.get(f"{name}.bias")
        return wu if bias is None else wu.add_(bias)

    def gradients(
        self, x: Tensor | LitImages, labels: Tensor, masks: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean cross-entropy of each slot (S,) and its gradients, on its batch x (S, N, inputs).

        The moving averages take in this mini-batch (with the unbiased variance, m/(m−1)).
        """
        logits, layers = self.forward(x, masks=masks)
        losses, d = cross_entropy(logits, labels)
        grads: dict[str, Tensor] = {}
        d = self._affine_backward("output", layers[-1].z, d, grads)
        for name, layer in zip(reversed(self.hidden), reversed(layers), strict=True):
            d = self._hidden_backward(name, layer, d, grads)
        for name, layer in zip(self.hidden, layers, strict=True):
            self.transform.update(self, name, layer.state, x.shape[-2])
        self.updates += 1
        return losses, grads

    def _hidden_backward(
        self, name: str, layer: HiddenLayer, d: Tensor, grads: dict[str, Tensor]
    ) -> Tensor:
        """∂ℓ/∂u from d = ∂ℓ/∂z; for the first layer, whose u is the image, only what is needed."""
        place, state, y, aten = self.transform.place, layer.state, layer.y, torch.ops.aten
        if layer.mask is not None:
            d = d * layer.mask
        if place == "after":
            d = self.transform.backward(self, name, d, state, grads)
        d = aten.sigmoid_backward(d, y) if self.sigmoid else aten.threshold_backward(d, y, 0)
        if place == "preactivation":
            d = self.transform.backward(self, name, d, state, grads)
        needed = name != self.hidden[0] or place == "input"
        d = self._affine_backward(name, layer.v, d, grads, needed)
        return self.transform.backward(self, name, d, state, grads) if place == "input" else d

    def _affine_backward(
        self, name: str, u: Tensor, d: Tensor, grads: dict[str, Tensor], needed: bool = True
    ) -> Tensor:
        grads[f"{name}.weight"] = weight_gradient(u, d)
        if f"{name}.bias" in self.params:
            grads[f"{name}.bias"] = d.sum(1, keepdim=True)
        return torch.bmm(d, self.params[f"{name}.weight"].mT) if needed else d

    def estimate_population(self, batches: Sequence[Tensor]) -> None:
        """Algorithm 2: E[x] = E_B[μ_B] and Var[x] = m/(m−1) · E_B[σ²_B] over training batches."""
        means: dict[str, Tensor] = {key: torch.zeros_like(v) for key, v in self.moving.items()}
        for x in batches:
            for name, layer in zip(self.hidden, self.forward(x)[1], strict=True):
                m = x.shape[-2]
                means[f"{name}.mean"] += layer.state.mean / len(batches)
                means[f"{name}.var"] += layer.state.var * (m / (m - 1) / len(batches))
        self.population = means

    def freeze(self, x: Tensor) -> list[HiddenLayer]:
        """Take the population statistics from images (N, inputs) as one batch; their layers."""
        layers = self.with_transform(self.transform.estimator).forward(x)[1]
        for name, layer in zip(self.hidden, layers, strict=True):
            for key, value in self.transform.freeze(layer.state).items():
                self.population[f"{name}.{key}"] = value
        return layers

    def with_transform(self, transform: Transform) -> "SlotMLP":
        """The same network with another transform; parameters and statistics are shared."""
        other = copy.copy(self)
        other.transform = transform
        return other


def in_float64(net: SlotMLP) -> SlotMLP:
    """A copy of the network with all its numbers in float64."""
    double = copy.copy(net)
    for name in ("params", "moving", "population"):
        setattr(double, name, {k: v.double() for k, v in getattr(net, name).items()})
    return double


def product(u: Tensor | LitImages, weight: Tensor) -> Tensor:
    """Wu of every slot; `matmul` broadcasts a shared u, but is the slower one where it need not."""
    if isinstance(u, LitImages):
        return u.product(weight)
    return torch.bmm(u, weight) if u.dim() == 3 else torch.matmul(u, weight)


def weight_gradient(u: Tensor | LitImages, d: Tensor) -> Tensor:
    """∂ℓ/∂W of every slot from d = ∂ℓ/∂(Wu)."""
    return u.weight_gradient(d) if isinstance(u, LitImages) else torch.bmm(u.mT, d)


def initial_weight(model: ModelConfig, slot: Slot, name: str, fan_in: int, fan_out: int) -> Tensor:
    """Gaussian weights (fan_in, fan_out): std `init_std`, or gain √(2/(fan_in+fan_out)), glorot."""
    glorot = model.gain * (2 / (fan_in + fan_out)) ** 0.5
    std = glorot if model.init == "glorot" else slot.init_std
    return std * torch.randn(fan_in, fan_out, generator=stream(slot.seed, "init", name))


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each slot's mean −log p(label) (S,), and its gradient at the logits (S, N, classes)."""
    log_p = torch.log_softmax(logits, dim=-1)
    index = labels.unsqueeze(-1)
    losses = log_p.gather(-1, index).mean((1, 2)).neg_()
    d = log_p.exp_().scatter_add_(-1, index, torch.full_like(index, -1, dtype=log_p.dtype))
    return losses, d.div_(labels.shape[1])
