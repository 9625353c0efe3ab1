"""The Inception network of the paper's appendix (Figure 5), with and without BN.

The table is data, one row a module. Three things the paper leaves contradictory are switches:
projections of 128 in 4c and 4d (as printed; 608 and 1056 channels) or 96 (the 576 and 1024 that
the output column states), the first convolution separable or dense, and BN in the stem or not.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bnrepro.norm import BatchNorm


class Module(NamedTuple):
    """A row of Figure 5. `n1x1` = 0: no such branch; `proj` = 0: the pooled input passes on."""

    name: str
    stride: int
    n1x1: int
    reduce3: int
    n3x3: int
    reduce_double: int
    double3: int
    pool: str
    proj: int


FILTERS = ("n1x1", "reduce3", "n3x3", "reduce_double", "double3", "proj")  # scale with the width
FIGURE_5 = (
    Module("3a", 1, 64, 64, 64, 64, 96, "avg", 32),
    Module("3b", 1, 64, 64, 96, 64, 96, "avg", 64),
    Module("3c", 2, 0, 128, 160, 64, 96, "max", 0),
    Module("4a", 1, 224, 64, 96, 96, 128, "avg", 128),
    Module("4b", 1, 192, 96, 128, 96, 128, "avg", 128),
    Module("4c", 1, 160, 128, 160, 128, 160, "avg", 128),
    Module("4d", 1, 96, 128, 192, 160, 192, "avg", 128),
    Module("4e", 2, 0, 128, 192, 192, 256, "max", 0),
    Module("5a", 1, 352, 192, 320, 160, 224, "avg", 128),
    Module("5b", 1, 352, 192, 320, 192, 224, "max", 128),
)
# Channels after each module, by the projection of 4c and 4d: as its parts sum up, and as printed.
CHANNELS = {
    128: (256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024),
    96: (256, 320, 576, 576, 576, 576, 576, 1024, 1024, 1024),
}
# Parameters with BN and 1,000 classes, by projection and separable first convolution: convolutions
# without bias, γ and β, classifier. No reading of the table gives the 13.6 million of the text.
PARAMETERS = {(128, True): 11_278_528, (128, False): 11_285_224, (96, True): 11_188_288}
LAST = ("5b", "5a")  # modules that may have BN per activation: behind the last stride
DEPTH_MULTIPLIER = 8  # of the separable first convolution
LRN = (5, 1e-4, 0.75, 1.0)  # size, α, β, k: GoogLeNet's; not given in the paper


@dataclass(frozen=True)
class Stem:
    """What stands before 3a: kernel and stride of the first convolution, and which pools follow."""

    kernel: int
    stride: int
    pools: tuple[bool, bool]  # after the first convolution, after the second


STEMS = {
    "imagenet": Stem(7, 2, (True, True)),  # 224 → 112 → 56 → 28, the paper's
    "tiny": Stem(7, 1, (True, False)),  # 64 → 64 → 32 → 32
    "small": Stem(3, 1, (True, False)),  # 28 → 28 → 14 → 14
}


@dataclass(frozen=True)
class InceptionSpec:
    """Everything that fixes the network's shape; the values of the paper are the defaults."""

    classes: int = 1000
    channels: int = 3
    stem: str = "imagenet"
    width: float = 1.0  # multiplies every number of filters
    norm: str = "batch"  # batch | none
    activation: str = "relu"  # relu | sigmoid
    separable: bool = True  # the first convolution
    stem_norm: bool = True  # BN in the stem; the text says before every nonlinearity
    projection_4cd: int = 128  # 128 as printed, 96 for the printed sums
    lrn: bool = False  # Local Response Normalization after pool1 and after conv2
    dropout: float = 0.0  # before the classifier
    engine: str = "torch"  # of BN: torch | paper
    eps: float = 1e-5
    bn_momentum: float = 0.1
    init: str = "he"  # he | glorot | caffe | gaussian
    init_std: float = 0.01  # of init = gaussian
    init_gain: float = 1.0  # multiplies the standard deviation of convolutions' initial weights
    sync_bn: bool = False  # statistics over all processes; the paper's engine alone can
    per_activation: int = 0  # modules at the end whose BN is per activation (4.2.3); needs `side`
    side: int | None = None  # pixels of the square images

    def batch_norm(self, filters: int, shape: tuple[int, ...] = ()) -> BatchNorm:
        """One γ and β a feature map, or per activation of maps of that shape."""
        return BatchNorm(
            (filters, *shape) if shape else filters,
            eps=self.eps,
            momentum=self.bn_momentum,
            sync=self.sync_bn,
            engine="paper" if self.sync_bn else self.engine,
        )

    def last_maps(self, name: str) -> tuple[int, ...]:
        """The shape of a module's feature maps where its BN is per activation; else ()."""
        if name not in LAST[: self.per_activation]:
            return ()
        assert self.side is not None
        halved = sum(STEMS[self.stem].pools) + sum(row.stride == 2 for row in FIGURE_5)
        side = math.ceil(self.side / STEMS[self.stem].stride / 2**halved)
        return (side, side)

    def filters(self, count: int) -> int:
        return max(1, round(count * self.width)) if count else 0

    def modules(self) -> list[Module]:
        """Figure 5 with this width and these projections."""
        modules = []
        for row in FIGURE_5:
            read = row._replace(proj=self.projection_4cd) if row.name in ("4c", "4d") else row
            counts: dict[str, Any] = {name: self.filters(getattr(read, name)) for name in FILTERS}
            modules.append(read._replace(**counts))
        return modules


class ConvUnit(nn.Module):
    """z = g(BN(Wu)), or g(Wu + b) without BN: convolution, normalisation, nonlinearity.

    `pool`: what pools between the convolution and the normalisation. `maps`: the shape of the
    feature maps where the normalisation is per activation.
    """

    def __init__(
        self, spec: InceptionSpec, inputs: int, filters: int, kernel: int, stride: int = 1,
        norm: bool = True, separable: bool = False, pool: nn.Module | None = None,
        maps: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.spec = spec
        normalised = norm and spec.norm == "batch"
        pad, bias = kernel // 2, not normalised
        self.depthwise: nn.Module = nn.Identity()
        if separable:
            deep = inputs * DEPTH_MULTIPLIER
            self.depthwise = nn.Conv2d(inputs, deep, kernel, stride, pad, groups=inputs, bias=False)
            self.conv = nn.Conv2d(deep, filters, 1, bias=bias)
        else:
            self.conv = nn.Conv2d(inputs, filters, kernel, stride, pad, bias=bias)
        self.pool = pool
        self.norm: nn.Module = spec.batch_norm(filters, maps) if normalised else nn.Identity()
        self.g: nn.Module = nn.ReLU() if spec.activation == "relu" else nn.Sigmoid()

    def forward(self, u: Tensor) -> Tensor:
        a = self.conv(self.depthwise(u))
        return self.g(self.norm(a if self.pool is None else self.pool(a)))


class InceptionModule(nn.Module):
    """Up to four branches side by side; the 5×5 of GoogLeNet is two 3×3 here ("double 3×3").

    The 1×1 convolutions that read the module's input (the first branch, and what reduces it for
    the 3×3 and the double 3×3) are one unit, `entry`, whose feature maps are then shared out.
    """

    def __init__(self, spec: InceptionSpec, row: Module, inputs: int) -> None:
        super().__init__()
        self.shares = [n for n in (row.n1x1, row.reduce3, row.reduce_double) if n]
        maps = spec.last_maps(row.name)
        self.entry = ConvUnit(spec, inputs, sum(self.shares), 1, maps=maps)
        self.three = ConvUnit(spec, row.reduce3, row.n3x3, 3, row.stride, maps=maps)
        self.double_three = nn.Sequential(
            ConvUnit(spec, row.reduce_double, row.double3, 3, maps=maps),
            ConvUnit(spec, row.double3, row.double3, 3, row.stride, maps=maps),
        )
        self.pool = pool_branch(spec, row, inputs)
        self.outputs = row.n1x1 + row.n3x3 + row.double3 + (row.proj or inputs)

    def forward(self, u: Tensor) -> Tensor:
        maps = self.entry(u).split(self.shares, dim=1)
        branches = [self.three(maps[-2]), self.double_three(maps[-1]), self.pool(u)]
        return torch.cat([maps[0], *branches] if len(self.shares) == 3 else branches, dim=1)


def pool_branch(spec: InceptionSpec, row: Module, inputs: int) -> nn.Module:
    """Pooling 3×3 and, where the table has one, the projection of what it gives.

    The projection of an average is the average of the projections: both are linear, and the
    average's weights sum to one (it leaves the padding out), so a bias passes through too. The
    fewer maps are the ones pooled.
    """
    maps = spec.last_maps(row.name)
    if row.pool == "avg":
        average = nn.AvgPool2d(3, row.stride, 1, count_include_pad=False)
        return ConvUnit(spec, inputs, row.proj, 1, pool=average, maps=maps)
    maximum = nn.MaxPool2d(3, row.stride, 1)
    if not row.proj:
        return maximum
    return nn.Sequential(maximum, ConvUnit(spec, inputs, row.proj, 1, maps=maps))


class ResponseNorm(nn.Module):
    """Local Response Normalization across feature maps (Krizhevsky et al. 2012), on (N, C, H, W).

    u_c / (k + (α/size) Σ_{c'} u_{c'}²)^β, the sum over the `size` maps around c. The sum is a
    convolution with a band of ones, several times as fast on a processor as the average over three
    dimensions of `torch.nn.LocalResponseNorm`, whose values these are.
    """

    band: Tensor

    def __init__(self, maps: int, size: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self.scale, self.beta, self.k = alpha / size, beta, k
        number = torch.arange(maps)
        near = (number[:, None] - number).abs() <= size // 2
        self.register_buffer("band", near[:, :, None, None].float(), persistent=False)

    def forward(self, u: Tensor) -> Tensor:
        energy = nn.functional.conv2d(u * u, self.band).to(self.band.dtype)  # not in bf16: near k
        return u * (self.k + self.scale * energy) ** -self.beta


class Inception(nn.Module):
    """Figure 5, from images (N, channels, H, W) to logits (N, classes).

    `blocks` are named as the paper names them, so that probes can address them.
    """

    def __init__(self, spec: InceptionSpec) -> None:
        super().__init__()
        self.spec, self.class_names = spec, list[str]()  # empty: not known
        self.blocks = nn.ModuleDict(self._stem())
        width = spec.filters(192)
        for row in spec.modules():
            module = InceptionModule(spec, row, width)
            self.blocks[row.name] = module
            width = module.outputs
        self.dropout = nn.Dropout(spec.dropout)
        self.classifier = nn.Linear(width, spec.classes)
        self._check_against_figure_5()

    def _check_against_figure_5(self) -> None:
        """At the paper's size the network must have the table's channels and parameters."""
        spec = self.spec
        if spec.width == 1.0 and spec.projection_4cd in CHANNELS:
            modules = [m for m in self.blocks.values() if isinstance(m, InceptionModule)]
            assert tuple(m.outputs for m in modules) == CHANNELS[spec.projection_4cd]
        choices = (
            "projection_4cd", "separable", "eps", "bn_momentum", "init", "init_std", "init_gain",
            "sync_bn", "side",
        )  # fmt: skip
        papers = InceptionSpec(**{name: getattr(spec, name) for name in choices})
        if spec == papers and (spec.projection_4cd, spec.separable) in PARAMETERS:
            assert parameter_count(self) == PARAMETERS[spec.projection_4cd, spec.separable]

    def _stem(self) -> dict[str, nn.Module]:
        spec, stem = self.spec, STEMS[self.spec.stem]
        first, reduce, second = (spec.filters(n) for n in (64, 64, 192))
        norm = spec.stem_norm
        pools = [nn.MaxPool2d(3, 2, 1) if pool else nn.Identity() for pool in stem.pools]
        lrn = [ResponseNorm(n, *LRN) if spec.lrn else nn.Identity() for n in (first, second)]
        conv1 = (spec.channels, first, stem.kernel, stem.stride, norm, spec.separable)
        return {
            "conv1": ConvUnit(spec, *conv1),
            "pool1": pools[0],
            "lrn1": lrn[0],
            "conv2_reduce": ConvUnit(spec, first, reduce, 1, norm=norm),
            "conv2": ConvUnit(spec, reduce, second, 3, norm=norm),
            "lrn2": lrn[1],
            "pool2": pools[1],
        }

    def forward(self, images: Tensor) -> Tensor:
        u = images
        for block in self.blocks.values():
            u = block(u)
        return self.classifier(self.dropout(u.mean((2, 3))))

    def intermediates(self, images: Tensor) -> dict[str, Tensor]:
        """The output of every block by its name, and the logits."""
        values, u = {}, images
        for name, block in self.blocks.items():
            values[name] = u = block(u)
        return {**values, "logits": self.classifier(self.dropout(u.mean((2, 3))))}


def parameter_count(network: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(p.numel() for p in network.parameters())
