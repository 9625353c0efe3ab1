"""Section 3.2 for convolutions: one (γ, β) a feature map, or one an activation; and a bias's place.

Convolutional BN takes its statistics over the mini-batch and all locations, m′ = m·p·q, so that
every location of a map is treated alike; `BatchNorm(C)`. The other form has statistics, γ and β for
each activation; `BatchNorm((C, p, q))`.

Rows have a `part`: `bias`, `shift` and `pairs` (float64), and `conv_accuracy`.
"""

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.data.order import batches_of_seeds
from bnrepro.evidence.tables import Row
from bnrepro.norm import BatchNorm, population_statistics
from bnrepro.seeding import stream
from experiments.placement import PlacementConfig

KINDS = ("none", "map", "activation")  # BN of the convolutional network
STRIDE = 2
CHUNK = 1000  # test images a forward pass: bounds memory


class ConvNets(nn.Module):
    """S small convolutional networks as one: seed s is group s of every convolution.

    g(BN(W ∗ u)) twice, then a linear output. Channels never mix across groups and statistics are
    kept for each channel, so a network does not notice its neighbours.
    """

    def __init__(self, cfg: PlacementConfig, kind: str, classes: int, side: int) -> None:
        super().__init__()
        self.seeds = seed_list(cfg.seeds)
        channels, bias = 1, kind == "none"
        layers: list[nn.Module] = []
        for i, out in enumerate(cfg.conv_channels, start=1):
            side = (side - cfg.conv_kernel) // STRIDE + 1
            shape = (channels, out, cfg.conv_kernel, STRIDE)
            layers.append(self._convolution(f"conv{i}", *shape, bias))
            if not bias:
                maps = len(self.seeds) * out
                layers.append(BatchNorm(maps if kind == "map" else (maps, side, side), eps=cfg.eps))
            layers.append(nn.ReLU())
            channels = out
        self.body = nn.Sequential(*layers)
        self.output = self._convolution("output", channels, classes, side, 1, True)

    def _convolution(
        self, name: str, fan_in: int, out: int, kernel: int, stride: int, bias: bool
    ) -> nn.Conv2d:
        """He's initial weights, drawn for each seed apart."""
        s = len(self.seeds)
        layer = nn.Conv2d(s * fan_in, s * out, kernel, stride, groups=s, bias=bias)
        std = (2 / (fan_in * kernel**2)) ** 0.5
        shape = (out, fan_in, kernel, kernel)
        weights = [torch.randn(shape, generator=stream(k, "init", name)) for k in self.seeds]
        with torch.no_grad():
            layer.weight.copy_(std * torch.cat(weights))
            if layer.bias is not None:
                layer.bias.zero_()
        return layer

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, S, classes) of images (N, S, side, side), or of (N, 1, side, side) for all."""
        logits: Tensor = self.output(self.body(images.expand(-1, len(self.seeds), -1, -1)))
        return logits.view(len(images), len(self.seeds), -1)


def minibatches(seeds: Sequence[int], size: int, batch: int) -> Iterator[Tensor]:
    """Indices (S, batch) of each step; a seed's depend on it alone."""
    for epoch in itertools.count():
        yield from batches_of_seeds(seeds, epoch, size, batch).unbind(1)


def conv_rows(
    cfg: PlacementConfig, data: Dataset, device: torch.device, kind: str
) -> Iterator[Row]:
    """Train the small convolutional network with one kind of BN; last test accuracies."""
    side = data.train_images.shape[-1]
    x = binarize(data.train_images).view(-1, side, side).to(device)
    labels = data.train_labels.to(device)
    nets = ConvNets(cfg, kind, data.num_classes, side).to(device)
    parameters = list(nets.parameters())
    indices = minibatches(nets.seeds, len(x), cfg.batch)
    for _ in range(cfg.conv_steps):
        index = next(indices).T.to(device)  # (N, S)
        # The mean over examples, the sum over seeds: no network changes another's gradient.
        loss = F.cross_entropy(nets(x[index]).flatten(0, 1), labels[index].flatten())
        grads = torch.autograd.grad(len(nets.seeds) * loss, parameters)
        with torch.no_grad():
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter.sub_(grad, alpha=cfg.conv_lr)
    if kind != "none":
        images = x[: cfg.population_examples // cfg.batch * cfg.batch].unsqueeze(1)
        population_statistics(nets, images.split(cfg.batch))
    for seed, accuracy in zip(nets.seeds, conv_accuracy(nets.eval(), data, device), strict=True):
        row = {"part": "conv_accuracy", "kind": kind, "seed": seed, "step": cfg.conv_steps}
        yield {**row, "accuracy": accuracy}


@torch.no_grad()
def conv_accuracy(nets: ConvNets, data: Dataset, device: torch.device) -> list[float]:
    """Test accuracy of every network."""
    side = data.test_images.shape[-1]
    right = torch.zeros(len(nets.seeds), device=device)
    chunks = (values.split(CHUNK) for values in (data.test_images, data.test_labels))
    for images, labels in zip(*chunks, strict=True):
        logits = nets(binarize(images).view(-1, 1, side, side).to(device))
        right += (logits.argmax(-1) == labels.to(device).unsqueeze(1)).sum(0)
    return [float(r) / len(data.test_labels) for r in right]


def exact_rows(cfg: PlacementConfig, data: Dataset) -> Iterator[Row]:
    """The float64 identities, for every seed."""
    side = data.train_images.shape[-1]
    images = binarize(data.train_images[: cfg.exact_examples]).double().view(-1, 1, side, side)
    for seed in seed_list(cfg.seeds):
        found = (bias_rows(cfg, images, seed), shift_rows(cfg, images, seed), pair_rows(cfg, side))
        yield from ({"seed": seed, **row} for row in itertools.chain(*found))


def random_layer(
    cfg: PlacementConfig, kind: str, seed: int, side: int,
    padding: Literal["circular", "zeros"] = "circular",
) -> nn.Module:  # fmt: skip
    """A linear layer or a padded convolution with random weights and bias, float64."""
    out = cfg.conv_channels[0]
    layer: nn.Module
    if kind == "dense":
        layer = nn.Sequential(nn.Flatten(), nn.Linear(side**2, out))
    else:
        k = cfg.conv_kernel
        layer = nn.Conv2d(1, out, k, padding=k // 2, padding_mode=padding)
    generator = stream(seed, "placement", kind)
    with torch.no_grad():
        for parameter in layer.double().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layer


def new_norm(cfg: PlacementConfig, kind: str, side: int, eps: float) -> BatchNorm:
    """BN of that layer's output, per activation or per unit or feature map; float64."""
    out = cfg.conv_channels[0]
    return BatchNorm((out, side, side) if kind == "activation" else out, eps=eps).double()


def bias_rows(cfg: PlacementConfig, images: Tensor, seed: int) -> Iterator[Row]:
    """∂ℓ/∂b = Σ ∂ℓ/∂x ahead of BN, relative to Σ |∂ℓ/∂x|; and what b changes in BN's output.

    Noise is added to the images, so that no activation is constant and ε = 0 is allowed; ℓ weighs
    the outputs at random.
    """
    generator = stream(seed, "placement", "bias")
    noisy = images + 0.1 * torch.randn(images.shape, generator=generator, dtype=images.dtype)
    for kind in ("dense", "map", "activation"):
        layer = random_layer(cfg, kind, seed, images.shape[-1])
        bias = next(p for name, p in layer.named_parameters() if name.endswith("bias"))
        x = layer(noisy)
        weights = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        others = [d for d in range(x.ndim) if d != 1]
        for eps in cfg.exact_eps:
            norm = new_norm(cfg, kind, images.shape[-1], eps)
            y = norm(x)
            loss = (weights * torch.sigmoid(y)).sum()
            db, dx = torch.autograd.grad(loss, (bias, x), retain_graph=True)
            gradient = (db.abs() / dx.abs().sum(others)).max()
            without = x - bias.view(1, -1, *[1] * (x.ndim - 2))
            change = (norm(without) - y).detach().abs().max()
            row = {"part": "bias", "kind": kind, "eps": eps, "gradient": float(gradient)}
            yield {**row, "output_change": float(change)}


def shift_rows(cfg: PlacementConfig, images: Tensor, seed: int) -> Iterator[Row]:
    """max |f(shifted) − shifted f| / max |f| for f = BN(convolution).

    alike      training, all images shifted by the same amount, γ = 1 and β = 0 everywhere
    own        the same with a different amount for each image
    learned    training, the same amount, random γ and β as after learning
    inference  fixed statistics of the unshifted images, random γ and β, different amounts
    padded     as `learned` with different amounts, the convolution padded with zeros

    Shifts and padding are circular; in `padded` a margin of zeros takes the shifts and the
    convolution's reach, so that nothing leaves the image and nothing comes back in.
    """
    side, generator = images.shape[-1], stream(seed, "placement", "shift")
    own = torch.randint(1, side, (len(images), 2), generator=generator)
    common = own[:1].expand_as(own)
    convolution = random_layer(cfg, "map", seed, side)
    yield from padded_rows(cfg, images, seed)
    for kind in ("map", "activation"):
        plain = new_norm(cfg, kind, side, cfg.exact_eps[-1])
        learned = _learned(plain, generator)
        learned.momentum = 1.0  # the running statistics become the last mini-batch's
        learned(convolution(images))
        settings = {
            "alike": (plain, common),
            "own": (plain, own),
            "learned": (learned, common),
            "inference": (copy.deepcopy(learned).eval(), own),
        }
        for name, (norm, amounts) in settings.items():
            change = shift_error(nn.Sequential(convolution, norm), images, amounts)
            yield {"part": "shift", "kind": kind, "setting": name, "change": change}


def padded_rows(cfg: PlacementConfig, images: Tensor, seed: int) -> Iterator[Row]:
    """The setting `padded` of `shift_rows`: ordinary shifts, padding with zeros."""
    generator = stream(seed, "placement", "padded")
    margin = 2 * (cfg.conv_kernel // 2)  # half for the shift, half for the convolution's reach
    wide = F.pad(images, [margin] * 4)
    side = wide.shape[-1]
    amounts = torch.randint(1, margin // 2 + 1, (len(wide), 2), generator=generator)
    convolution = random_layer(cfg, "map", seed, side, "zeros")
    for kind in ("map", "activation"):
        norm = _learned(new_norm(cfg, kind, side, cfg.exact_eps[-1]), generator)
        change = shift_error(nn.Sequential(convolution, norm), wide, amounts)
        yield {"part": "shift", "kind": kind, "setting": "padded", "change": change}


@torch.no_grad()
def _learned(norm: BatchNorm, generator: torch.Generator) -> BatchNorm:
    """A copy with random γ and β."""
    learned = copy.deepcopy(norm)
    for parameter in (learned.gamma, learned.beta):
        parameter.add_(torch.randn(parameter.shape, generator=generator))
    return learned


@torch.no_grad()
def shift_error(f: nn.Module, images: Tensor, amounts: Tensor) -> float:
    """max |f(shifted) − shifted f| / max |f|; image i is shifted by amounts[i] (2,), circularly."""

    def shifted(values: Tensor) -> Tensor:
        pairs = zip(values, amounts.tolist(), strict=True)
        return torch.stack([torch.roll(v, a, (-2, -1)) for v, a in pairs])

    expected = shifted(f(images))
    return float((f(shifted(images)) - expected).abs().max() / expected.abs().max())


def pair_rows(cfg: PlacementConfig, side: int) -> Iterator[Row]:
    """Learned numbers of the convolutional network's BN layers, one network."""
    for i, maps in enumerate(cfg.conv_channels):
        side = (side - cfg.conv_kernel) // STRIDE + 1
        for kind, features in (("map", maps), ("activation", (maps, side, side))):
            norm = BatchNorm(features)
            numbers = sum(p.numel() for p in norm.parameters())
            row = {"part": "pairs", "layer": f"conv{i + 1}", "kind": kind, "maps": maps}
            yield {**row, "locations": side**2, "numbers": numbers}
