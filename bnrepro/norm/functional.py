"""Algorithm 1 and its gradients as pure functions of tensors.

They serve two callers: `BatchNorm`, which normalises (N, C, ...) over all but the channels, and
the slot trainer, which normalises (slots, batch, units) over dim 1. Statistics come from plain
sums: `torch.var_mean` over a strided dimension is many times slower on CPU.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from bnrepro.norm.synchronised import sum_over_processes

Dims = int | tuple[int, ...]


class Normalized(NamedTuple):
    """Normalised values with the statistics they came from, which keep the reduced dimensions."""

    x_hat: Tensor
    mean: Tensor
    var: Tensor  # biased: divided by m, as in Algorithm 1
    inv_std: Tensor  # 1/√(var + eps)


def normalize(x: Tensor, dims: Dims, eps: float, corrected: bool = True) -> Normalized:
    """Normalise `x` by its mini-batch statistics.

    Algorithm 1, lines 1 to 3: μ = (1/m) Σ xᵢ;  σ² = (1/m) Σ (xᵢ − μ)²;  x̂ᵢ = (xᵢ − μ)/√(σ² + ε).

    It computes in the type of `x`: give it float32 when the data are 16-bit. Plain autograd also
    differentiates through it, to any order.

    Far from zero, μ rounded to the type of `x` is off by more than x̂ can bear. So what is left in
    xᵢ − μ, δ = (1/m) Σ (xᵢ − μ), is subtracted too. For float32 values with |μ| up to 10⁷ σ and m
    up to 2²¹, in any memory layout, σ² is then within 16 machine epsilons of the exact variance of
    these values, and x̂ within 16 of its largest value.

    Args:
        x: any shape.
        dims: the dimensions summed over; their sizes multiply to m (or m' of Section 3.2).
        eps: ε, inside the root.
        corrected: subtract δ. Without it x̂ is off by δ/σ, a few machine epsilons times |μ|/σ, and
            a pass over `x` is saved.

    Returns:
        `Normalized(x_hat, mean, var, inv_std)`; x_hat has the shape of `x`, the statistics have
        size 1 along `dims`.
    """
    total = _sum(x, dims)
    m = x.numel() // total.numel()
    mean = total.div_(m)
    centred = x - mean
    if corrected:
        delta = _sum(centred, dims).div_(m)
        centred, mean = centred.sub_(delta), mean + delta
    var = _sum(centred.square(), dims).div_(m)
    inv_std = (var + eps).rsqrt_()
    return Normalized(centred * inv_std, mean, var, inv_std)


def normalize_backward(
    dy: Tensor, x_hat: Tensor, gamma: Tensor, inv_std: Tensor, dims: Dims
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of y = γ x̂ + β with respect to x, γ and β, through the batch statistics.

    Section 3 gives six equations (s = 1/√(σ² + ε)):

        ∂ℓ/∂x̂ᵢ = γ ∂ℓ/∂yᵢ
        ∂ℓ/∂σ² = Σ ∂ℓ/∂x̂ᵢ (xᵢ − μ) (−½) s³
        ∂ℓ/∂μ  = −s Σ ∂ℓ/∂x̂ᵢ + ∂ℓ/∂σ² Σ −2(xᵢ − μ)/m
        ∂ℓ/∂xᵢ = s ∂ℓ/∂x̂ᵢ + ∂ℓ/∂σ² 2(xᵢ − μ)/m + ∂ℓ/∂μ /m
        ∂ℓ/∂γ  = Σ ∂ℓ/∂yᵢ x̂ᵢ
        ∂ℓ/∂β  = Σ ∂ℓ/∂yᵢ

    Since Σ(xᵢ − μ) = 0, the second term of ∂ℓ/∂μ vanishes: ∂ℓ/∂μ = −s γ ∂ℓ/∂β. With
    xᵢ − μ = x̂ᵢ/s, ∂ℓ/∂σ² = −½ s² γ ∂ℓ/∂γ, so its term in ∂ℓ/∂xᵢ is −s γ x̂ᵢ ∂ℓ/∂γ /m. Together,
    without approximation and for any ε:

        ∂ℓ/∂xᵢ = γ s (∂ℓ/∂yᵢ − (∂ℓ/∂β)/m − x̂ᵢ (∂ℓ/∂γ)/m)

    Args:
        dy: ∂ℓ/∂y, the shape of x.
        x_hat, inv_std: as `normalize` returned them.
        gamma: γ, of size 1 along `dims`.
        dims: the dimensions `normalize` summed over.

    Returns:
        (dx, dgamma, dbeta); the last two are shaped like `gamma`.
    """
    dgamma, dbeta = _sums(dy, x_hat, dims)
    m = dy.numel() // dbeta.numel()
    return _input_gradient(dy, x_hat, gamma * inv_std, dgamma / m, dbeta / m), dgamma, dbeta


def _sums(dy: Tensor, x_hat: Tensor, dims: Dims) -> tuple[Tensor, Tensor]:
    return _sum(dy * x_hat, dims), _sum(dy, dims)


def _sum(x: Tensor, dims: Dims) -> Tensor:
    # Given several dimensions, torch may add up over the first one value by value, which in a long
    # mini-batch loses every digit; over one dimension it adds pairwise.
    if isinstance(dims, tuple) and len(dims) > 1:
        x, dims = x.sum(dims[1:], keepdim=True), dims[0]
    return x.sum(dims, keepdim=True)


def _input_gradient(
    dy: Tensor, x_hat: Tensor, scale: Tensor, dgamma_mean: Tensor, dbeta_mean: Tensor
) -> Tensor:
    # Negated first, so that every later pass works in place on one temporary.
    return (x_hat * -dgamma_mean).add_(dy).sub_(dbeta_mean).mul_(scale)


def _normalize_synchronised(x: Tensor, dims: Dims, eps: float) -> tuple[Normalized, int]:
    """`normalize` over the mini-batches of all processes together, and their common m.

    Means are weighted by their counts, so processes with more examples weigh more. They travel in
    float64, which keeps δ.
    """
    total = _sum(x, dims)
    count = x.numel() // total.numel()
    mean = total / max(count, 1)  # a process may have no examples
    centred = x - mean
    exact = mean.double() + _sum(centred, dims).double() / max(count, 1)
    weight = torch.tensor(count, dtype=torch.float64)  # exact beyond 2²⁴
    weighted, counts = sum_over_processes(exact * count, weight)
    m = int(counts)
    common = weighted / m
    centred.sub_((common - mean).to(x.dtype))
    (squares,) = sum_over_processes(_sum(centred.square(), dims))
    var = squares / m
    inv_std = (var + eps).rsqrt_()
    return Normalized(centred * inv_std, common.to(x.dtype), var, inv_std), m
