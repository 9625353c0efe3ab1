"""Section 3.2: networks with BN at different places, and the distributions that BN would meet.

A hidden layer has the input u and computes z = g(Wu + b). The arms, each with three BN layers:

    none            z = g(Wu + b)
    preactivation   z = g(BN(Wu)), the paper's
    input           z = g(W BN(u) + b), the image included
    after           z = BN(g(Wu + b))

Every arm starts from the same weights and sees the same mini-batches; gradients are autograd's.
Rows have a `part`: `accuracy` (a network and stop), `shape` (a network, stop and layer), `density`
(a bin, first seed, last stop) and `reference` (what a Gaussian sample of that size would measure).
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bnrepro.config import ModelConfig
from bnrepro.config.mechanisms import PlacementConfig
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.data.order import batches_of_seeds
from bnrepro.models.mlp import Slot, initial_weight
from bnrepro.norm import normalize
from bnrepro.run.values import finite
from bnrepro.seeding import stream
from experiments.placement.shape import Shape, density, distances, measure_shape

Row = dict[str, Any]
ARMS = ("none", "preactivation", "input", "after")
CHUNK = 1000  # test images a forward pass: bounds memory
LAST = 100  # steps over which a training loss is averaged


class Layer(NamedTuple):
    """What a hidden layer's nonlinearity stands between."""

    u: Tensor  # (S, N, inputs), the layer's input before any BN; (N, inputs) for images
    x: Tensor  # (S, N, units), Wu + b before any BN


Statistics = dict[str, tuple[Tensor, Tensor]]  # BN layer -> mean and variance, (S, 1, C) each


class PlacedMLP:
    """S multilayer perceptrons side by side with BN at the arm's place."""

    def __init__(
        self,
        cfg: PlacementConfig,
        arm: str,
        activation: str,
        slots: Sequence[Slot],
        widths: Sequence[int],
        device: torch.device,
    ) -> None:
        self.arm, self.eps = arm, cfg.eps
        self.g = torch.sigmoid if activation == "sigmoid" else torch.relu
        self.names = [*(f"hidden{i}" for i in range(1, len(widths) - 1)), "output"]
        self.params: dict[str, Tensor] = {}
        model = ModelConfig(init="normal")
        for name, fan_in, fan_out in zip(self.names, widths[:-1], widths[1:], strict=True):
            weights = [initial_weight(model, slot, name, fan_in, fan_out) for slot in slots]
            self.params[f"{name}.weight"] = torch.stack(weights)
            if arm != "preactivation" or name == "output":
                self.params[f"{name}.bias"] = torch.zeros(len(slots), 1, fan_out)
            if arm != "none" and name != "output":
                features = fan_in if arm == "input" else fan_out
                self.params[f"{name}.gamma"] = torch.ones(len(slots), 1, features)
                self.params[f"{name}.beta"] = torch.zeros(len(slots), 1, features)
        self.params = {k: v.to(device).requires_grad_() for k, v in self.params.items()}

    def forward(
        self, images: Tensor, fixed: Statistics | None = None
    ) -> tuple[Tensor, list[Layer], Statistics]:
        """Logits (S, N, classes), the layers' values, and the statistics BN used.

        `images` is (N, inputs), shared by the slots, or (S, N, inputs). With `fixed`, BN uses
        those statistics, else the images' own as one mini-batch.
        """
        layers: list[Layer] = []
        used: Statistics = {}

        def norm(name: str, values: Tensor) -> Tensor:
            gamma, beta = self.params[f"{name}.gamma"], self.params[f"{name}.beta"]
            if fixed is None:
                x_hat, mean, var, _ = normalize(values, (-2,), self.eps)
                used[name] = mean.detach(), var.detach()
            else:
                mean, var = fixed[name]
                x_hat = (values - mean) * (var + self.eps).rsqrt()
            return torch.addcmul(beta, x_hat, gamma)

        u = images
        for name in self.names[:-1]:
            x = self._affine(name, norm(name, u) if self.arm == "input" else u)
            layers.append(Layer(u, x))
            u = self.g(norm(name, x) if self.arm == "preactivation" else x)
            u = norm(name, u) if self.arm == "after" else u
        return self._affine("output", u), layers, used

    def _affine(self, name: str, u: Tensor) -> Tensor:
        wu = torch.matmul(u, self.params[f"{name}.weight"])
        bias = self.params.get(f"{name}.bias")
        return wu if bias is None else wu + bias

    def train_step(self, x: Tensor, labels: Tensor, lr: Tensor) -> Tensor:
        """One step of SGD at each slot's own rate, (S, 1, 1); mean cross-entropies (S,)."""
        log_p = torch.log_softmax(self.forward(x)[0], -1)
        losses = -log_p.gather(-1, labels.unsqueeze(-1)).mean((1, 2))
        names, values = zip(*self.params.items(), strict=True)
        grads = torch.autograd.grad(losses.sum(), values)
        with torch.no_grad():
            for name, grad in zip(names, grads, strict=True):
                self.params[name].addcmul_(grad, lr, value=-1)
        return losses.detach()


def training_rows(
    cfg: PlacementConfig, data: Dataset, activation: str, arm: str, device: torch.device
) -> list[Row]:
    """Train one arm at every rate and seed; accuracies, and distributions at `shape_lr`."""
    slots = [Slot(s, lr, cfg.init_std) for lr in cfg.lr for s in seed_list(cfg.seeds)]
    x, labels = binarize(data.train_images).to(device), data.train_labels.to(device)
    widths = [x.shape[1], *cfg.hidden, data.num_classes]
    net = PlacedMLP(cfg, arm, activation, slots, widths, device)
    lr = torch.tensor([slot.lr for slot in slots], device=device).view(-1, 1, 1)
    rows: list[Row] = []
    shapes: dict[str, Shape] = {}
    losses: list[Tensor] = []
    indices = minibatches([slot.seed for slot in slots], len(x), cfg.batch)
    for stop in cfg.stops:
        while len(losses) < stop:
            index = next(indices).to(device)
            losses.append(net.train_step(x[index], labels[index], lr))
        found = [*accuracy_rows(cfg, net, data, x, losses, slots)]
        found += shape_rows(cfg, net, x, slots, shapes)
        found += density_rows(cfg, shapes) if stop == cfg.stops[-1] else []
        rows += [{"activation": activation, "arm": arm, "steps": stop, **r} for r in found]
    return rows


def minibatches(seeds: Sequence[int], size: int, batch: int) -> Iterator[Tensor]:
    """Indices (S, batch) of each step; a slot's depend on its seed alone."""
    for epoch in itertools.count():
        yield from batches_of_seeds(seeds, epoch, size, batch).unbind(1)


@torch.no_grad()
def accuracy_rows(
    cfg: PlacementConfig,
    net: PlacedMLP,
    data: Dataset,
    x: Tensor,
    losses: Sequence[Tensor],
    slots: Sequence[Slot],
) -> Iterator[Row]:
    """Test accuracy with the statistics of many training images, and the latest training loss."""
    population = net.forward(x[: cfg.population_examples])[2]
    right = torch.zeros(len(slots), device=x.device)
    for images, labels in zip(
        data.test_images.split(CHUNK), data.test_labels.split(CHUNK), strict=True
    ):
        logits = net.forward(binarize(images).to(x.device), population)[0]
        right += (logits.argmax(-1) == labels.to(x.device)).sum(1)
    accuracy = (right / len(data.test_labels)).tolist()
    latest = torch.stack(list(losses[-LAST:])).mean(0).tolist() if losses else [None] * len(slots)
    for slot, value, loss in zip(slots, accuracy, latest, strict=True):
        row = {"part": "accuracy", "lr": slot.lr, "seed": slot.seed, "accuracy": value}
        yield {**row, "training_loss": None if loss is None else finite(loss)}


@torch.no_grad()
def shape_rows(
    cfg: PlacementConfig,
    net: PlacedMLP,
    x: Tensor,
    slots: Sequence[Slot],
    shapes: dict[str, Shape],
) -> Iterator[Row]:
    """Shapes of u and Wu + b of every slot at `shape_lr`; `shapes` keeps them for the next stop.

    The images pass as one mini-batch, in training form. The first layer's u is the image, not a
    nonlinearity's output, and is left out.
    """
    kept = [i for i, slot in enumerate(slots) if slot.lr == cfg.shape_lr]
    for name, layer in zip(net.names[:-1], net.forward(x[: cfg.probe_examples])[1], strict=True):
        for what, values in zip("ux", layer, strict=True):
            if values.ndim == 2:
                continue
            shape = measure_shape(values[kept])
            columns = distances(shape, shapes.get(f"{name}.{what}"))
            shapes[f"{name}.{what}"] = shape
            for place, i in enumerate(kept):
                row = {"part": "shape", "layer": name, "what": what, "seed": slots[i].seed}
                yield {**row, **{k: finite(v[place]) for k, v in columns.items()}}


def density_rows(cfg: PlacementConfig, shapes: dict[str, Shape]) -> Iterator[Row]:
    """Densities of the first seed's network, to be looked at; the claims use all seeds."""
    for key, shape in shapes.items():
        layer, what = key.split(".")
        named = {"part": "density", "layer": layer, "what": what, "seed": seed_list(cfg.seeds)[0]}
        for row in density(shape, 0):
            yield {**named, **row}


def reference_rows(cfg: PlacementConfig) -> list[Row]:
    """The same measures of Gaussian samples as large as the probe: their smallest values."""
    rows = []
    for seed in seed_list(cfg.seeds):
        sample = torch.randn(
            1, cfg.probe_examples, cfg.hidden[0], generator=stream(seed, "reference")
        )
        columns = distances(measure_shape(sample), None)
        rows.append(
            {"part": "reference", "seed": seed} | {k: finite(v[0]) for k, v in columns.items()}
        )
    return rows
