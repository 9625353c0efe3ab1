"""Full whitening of a layer's inputs and its derivative in closed form (Section 2).

    x̂ = Cov[x]^(−1/2) (x − E[x]),   Cov[x] = E[xxᵀ] − E[x] E[x]ᵀ

over a mini-batch, with a ridge on the covariance's diagonal. The square root is the symmetric one.

Backward. With Σ = Cov[x] + ridge · I = V diag(λ) Vᵀ, A = Σ^(−1/2), xᶜ = x − E[x] and x̂ = xᶜ A:

    ∂ℓ/∂A  = xᶜᵀ ∂ℓ/∂x̂
    ∂ℓ/∂Σ  = V (K ∘ Vᵀ sym(∂ℓ/∂A) V) Vᵀ,   sym(B) = (B + Bᵀ)/2
    ∂ℓ/∂xᶜ = ∂ℓ/∂x̂ A + (2/m) xᶜ ∂ℓ/∂Σ,     ∂ℓ/∂x = ∂ℓ/∂xᶜ − its mean over the mini-batch

K holds the divided differences of f(λ) = λ^(−1/2), (f(λᵢ) − f(λⱼ))/(λᵢ − λⱼ), which for this f are

    Kᵢⱼ = −1 / (√λᵢ √λⱼ (√λᵢ + √λⱼ))

with nothing to cancel and no case for equal eigenvalues (K = f′(λ) = −½ λ^(−3/2) there). Autograd
of the eigenvectors themselves divides by λᵢ − λⱼ and fails.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Whitened(NamedTuple):
    """Whitened values with what the backward pass and inference need; S is any batch of layers."""

    x_hat: Tensor  # (S, m, d)
    mean: Tensor  # (S, 1, d)
    matrix: Tensor  # (S, d, d): Cov[x]^(−1/2)
    centred: Tensor  # (S, m, d): x − E[x]
    roots: Tensor  # (S, d): √λ, ascending
    vectors: Tensor  # (S, d, d): V


def whiten(x: Tensor, ridge: float) -> Whitened:
    """Whiten x (S, m, d) by the statistics of its m rows.

    With fewer rows than units the covariance is singular: only a ridge > 0 keeps x̂ finite. Where x
    is not finite x̂ is not a number; the neighbours along S are not touched.
    """
    mean = x.mean(-2, keepdim=True)
    centred = x - mean
    covariance = centred.mT @ centred / x.shape[-2]
    usable = covariance.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    values, vectors = torch.linalg.eigh(torch.where(usable, covariance, identity))
    roots = (values.clamp(min=0) + ridge).sqrt()  # rounding may put a 0 below 0
    matrix = (vectors / roots.unsqueeze(-2)) @ vectors.mT
    return Whitened(centred @ matrix, mean, matrix, centred, roots, vectors)


def whiten_backward(dx_hat: Tensor, forward: Whitened) -> Tensor:
    """∂ℓ/∂x (S, m, d) from ∂ℓ/∂x̂, through mean and covariance."""
    _, _, matrix, centred, roots, vectors = forward
    m = centred.shape[-2]
    d_matrix = vectors.mT @ (centred.mT @ dx_hat) @ vectors
    left, right = roots.unsqueeze(-1), roots.unsqueeze(-2)
    divided = -1 / (left * right * (left + right))
    d_covariance = vectors @ (divided * (d_matrix + d_matrix.mT) / 2) @ vectors.mT
    d_centred = dx_hat @ matrix + (2 / m) * (centred @ d_covariance)
    return d_centred - d_centred.mean(-2, keepdim=True)
