"""Distributions of units' values over examples: how they are shaped, and how far they move.

The shape of a distribution is what is left of it once mean and variance are 0 and 1.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

DENSITY = (-4.0, 4.0, 64)  # lowest and highest standardised value, and how many bins between
CONSTANT = 1e-12  # a unit whose variance is below this has no shape


class Shape(NamedTuple):
    """Distributions over N examples for each slot and unit, in float64."""

    sorted: Tensor  # (S, N, C), standardised, in ascending order
    mean: Tensor  # (S, C)
    std: Tensor  # (S, C), biased
    live: Tensor  # (S, C), whether the unit varies at all
    zeros: Tensor  # (S,), share of values that are exactly zero


def measure_shape(values: Tensor) -> Shape:
    """Standardise (S, N, C) unit by unit with the biased variance."""
    v = values.double()
    mean = v.mean(1, keepdim=True)
    var = (v - mean).square().mean(1, keepdim=True)
    standard = (ascending(values).double() - mean) / var.clamp_min(CONSTANT).sqrt()
    zeros = (v == 0).double().mean((1, 2))
    var = var.squeeze(1)
    return Shape(standard, mean.squeeze(1), var.sqrt(), var > CONSTANT, zeros)


def ascending(values: Tensor) -> Tensor:
    """The values (S, N, C) in ascending order over N."""
    if values.device.type != "cpu":
        return values.sort(1).values
    columns = np.ascontiguousarray(values.transpose(1, 2).numpy())  # sorted several times faster
    return torch.from_numpy(np.sort(columns, axis=-1)).transpose(1, 2).contiguous()


def drift(shape: Shape, before: Shape) -> dict[str, Tensor]:
    """How far distributions moved since `before`: means over the units live both times, (S,) each.

    total: the Wasserstein distance ∫ |F⁻¹ − F₀⁻¹| in units of (σ + σ₀)/2, the spread. The three
    parts are the distances moved when one thing changes and the rest is held:

        mean   |μ − μ₀|
        scale  |σ − σ₀| · (E|z| + E|z₀|)/2, with z = (x − μ)/σ
        shape  the distance between z and z₀

    each in the same units. total is at most their sum, and equal to a part that is alone.
    """
    spread = (shape.std + before.std) / 2
    moved = _values(shape).sub_(_values(before)).abs_().mean(1)
    size = (shape.sorted.abs().mean(1) + before.sorted.abs().mean(1)) / 2
    parts = {
        "total": moved / spread,
        "mean": (shape.mean - before.mean).abs() / spread,
        "scale": (shape.std - before.std).abs() * size / spread,
        "shape": (shape.sorted - before.sorted).abs().mean(1),
    }
    live = shape.live & before.live
    return {name: _over_units(values, live) for name, values in parts.items()}


def _values(shape: Shape) -> Tensor:
    return shape.sorted * shape.std.unsqueeze(1) + shape.mean.unsqueeze(1)


def distances(shape: Shape, before: Shape | None) -> dict[str, Tensor]:
    """Means over the live units, (S,) each; NaN where there is none, or nothing before.

    skewness, kurtosis: mean z³ and mean z⁴ − 3, 0 for a Gaussian; |skewness| apart, since units of
    both signs would cancel. gaussian_distance: Kolmogorov's sup |F(z) − Φ(z)|. shape_change: the
    Wasserstein distance ∫ |F⁻¹ − F₀⁻¹| to the shape `before`, over units live both times.
    """
    z, live = shape.sorted, shape.live
    skewness = z.pow(3).mean(1)
    columns = {
        "skewness": _over_units(skewness, live),
        "absolute_skewness": _over_units(skewness.abs(), live),
        "kurtosis": _over_units(z.pow(4).mean(1) - 3, live),
        "gaussian_distance": _over_units(kolmogorov(z), live),
        "zeros": shape.zeros,
        "live": live.double().mean(1),
        "shape_change": torch.full_like(shape.zeros, math.nan),
    }
    if before is not None:
        change = (z - before.sorted).abs().mean(1)
        columns["shape_change"] = _over_units(change, live & before.live)
    return columns


def kolmogorov(z: Tensor) -> Tensor:
    """sup |F_N(z) − Φ(z)| over N sorted values in dim 1: (S, N, C) to (S, C).

    F_N jumps at every value, so both sides of each jump are compared.
    """
    n = z.shape[1]
    above = torch.arange(1, n + 1, dtype=z.dtype, device=z.device).view(1, -1, 1) / n
    phi = torch.special.ndtr(z)
    return torch.maximum(above - phi, phi - (above - 1 / n)).amax(1)


def density(shape: Shape, slot: int) -> Iterator[dict[str, float]]:
    """Density of one slot's standardised values, all live units together: bin centre and height."""
    low, high, bins = DENSITY
    values = shape.sorted[slot][:, shape.live[slot]]
    counts = torch.histc(values, bins, low, high)  # values beyond the range are left out
    width = (high - low) / bins
    for i, count in enumerate(counts.tolist()):
        yield {"z": low + (i + 0.5) * width, "density": count / max(values.numel(), 1) / width}


def _over_units(values: Tensor, live: Tensor) -> Tensor:
    return values.where(live, 0).sum(1) / live.sum(1)
