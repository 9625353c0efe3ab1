"""Algorithm 1 and its gradients as pure functions of tensors.

They serve two callers: `BatchNorm`, which normalises (N, C, ...) over all but the channels, and
the slot trainer, which normalises (slots, batch, units) over dim 1. Statistics come from plain
sums: `torch.var_mean` over a strided dimension is many times slower on CPU. Two passes (mean
first, then centred squares) keep the variance accurate when the mean is large.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bnrepro.norm.synchronised import sum_over_processes

Dims = int | tuple[int, ...]


class Normalized(NamedTuple):
    """Normalised values with the statistics they came from, which keep the reduced dimensions."""

    x_hat: Tensor
    mean: Tensor
    var: Tensor  # biased: divided by m, as in Algorithm 1
    inv_std: Tensor  # 1/√(var + eps)


def normalize(x: Tensor, dims: Dims, eps: float) -> Normalized:
    """Normalise `x` by its mini-batch statistics.

    Algorithm 1, lines 1 to 3: μ = (1/m) Σ xᵢ;  σ² = (1/m) Σ (xᵢ − μ)²;  x̂ᵢ = (xᵢ − μ)/√(σ² + ε).

    It computes in the type of `x`: give it float32 when the data are 16-bit. Plain autograd also
    differentiates through it, to any order.

    Args:
        x: any shape.
        dims: the dimensions summed over; their sizes multiply to m (or m' of Section 3.2).
        eps: ε, inside the root.

    Returns:
        `Normalized(x_hat, mean, var, inv_std)`; x_hat has the shape of `x`, the statistics have
        size 1 along `dims`.
    """
    total = x.sum(dims, keepdim=True)
    m = x.numel() // total.numel()
    mean = total.div_(m)
    centred = x - mean
    var = centred.square().sum(dims, keepdim=True).div_(m)
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
    return (dy * x_hat).sum(dims, keepdim=True), dy.sum(dims, keepdim=True)


def _input_gradient(
    dy: Tensor, x_hat: Tensor, scale: Tensor, dgamma_mean: Tensor, dbeta_mean: Tensor
) -> Tensor:
    # Negated first, so that every later pass works in place on one temporary.
    return (x_hat * -dgamma_mean).add_(dy).sub_(dbeta_mean).mul_(scale)


def _normalize_synchronised(x: Tensor, dims: Dims, eps: float) -> tuple[Normalized, int]:
    """`normalize` over the mini-batches of all processes together, and their common m.

    Sums and counts are added up, so processes with more examples weigh more.
    """
    local = x.sum(dims, keepdim=True)
    count = torch.tensor(x.numel() // local.numel(), dtype=torch.float64)  # exact beyond 2²⁴
    total, counts = sum_over_processes(local, count)
    m = int(counts)
    mean = total / m
    centred = x - mean
    (squares,) = sum_over_processes(centred.square().sum(dims, keepdim=True))
    var = squares / m
    inv_std = (var + eps).rsqrt_()
    return Normalized(centred * inv_std, mean, var, inv_std), m


class _PaperBatchNorm(torch.autograd.Function):
    """y = γ x̂ + β with the closed-form backward pass (Algorithm 1, line 4; Section 3).

    Called as `apply(x, gamma, beta, dims, eps, sync)`; gamma and beta have size 1 along `dims`.
    Returns (y, mean, var, m); the statistics are for the record and carry no gradient.

    With `sync`, all processes of the default group act as one mini-batch. The loss that the
    backward pass sees is then Σ_r ℓ_r, the sum over processes of their own losses: Σ ∂ℓ/∂y and
    Σ ∂ℓ/∂y x̂ in ∂ℓ/∂x run over all of them. ∂ℓ/∂γ and ∂ℓ/∂β stay the process's own share,
    because `DistributedDataParallel` adds the shares (and divides by the number of processes)
    itself, as it does for every other parameter. With ℓ_r the mean over equal local batches, its
    result is exactly the gradient of the mean over the whole batch.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, dims: Dims, eps: float, sync: bool
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        if sync:
            result, m = _normalize_synchronised(x, dims, eps)
        else:
            result = normalize(x, dims, eps)
            m = x.numel() // result.mean.numel()
        ctx.dims, ctx.m, ctx.sync = dims, m, sync
        ctx.save_for_backward(result.x_hat, gamma, result.inv_std)
        ctx.mark_non_differentiable(result.mean, result.var)
        ctx.set_materialize_grads(False)
        return (result.x_hat * gamma).add_(beta), result.mean, result.var, m

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if dy is None:  # nothing downstream needs y
            return (None,) * 6
        x_hat, gamma, inv_std = ctx.saved_tensors
        if not ctx.sync:
            return *normalize_backward(dy, x_hat, gamma, inv_std, ctx.dims), None, None, None
        dgamma, dbeta = _sums(dy, x_hat, ctx.dims)
        means = (total / ctx.m for total in sum_over_processes(dgamma, dbeta))
        dx = _input_gradient(dy, x_hat, gamma * inv_std, *means)
        return dx, dgamma, dbeta, None, None, None
