"""Algorithm 1 as one differentiable step with the closed-form gradients of Section 3."""

import inspect
from typing import Any

import torch
from torch import Tensor

from bnrepro.norm.functional import _input_gradient, _normalize_synchronised, _sums, normalize
from bnrepro.norm.synchronised import sum_over_processes


class _PaperBatchNorm(torch.autograd.Function):
    """y = γ x̂ + β with the closed-form backward pass (Algorithm 1, line 4; Section 3).

    Called as `apply(x, gamma, beta, dims, eps, sync)`; gamma and beta have size 1 along `dims`, a
    tuple. Returns (y, x_hat, mean, var, inv_std, m). Mean and variance are for the record and
    carry no gradient. x̂ and s = 1/√(σ² + ε), which the backward pass reads, are outputs so that
    it can itself be differentiated, to any order; `torch.func` transforms it like any operation.

    With `sync`, all processes of the default group act as one mini-batch. The loss that the
    backward pass sees is then Σ_r ℓ_r, the sum over the losses of all processes: Σ ∂ℓ/∂y and
    Σ ∂ℓ/∂y x̂ in ∂ℓ/∂x run over all of them. ∂ℓ/∂γ and ∂ℓ/∂β stay each process's share,
    because `DistributedDataParallel` adds the shares (and divides by the number of processes)
    itself, as it does for every other parameter. With ℓ_r the mean over equal local batches, its
    result is exactly the gradient of the mean over the whole batch.
    """

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor, beta: Tensor, dims: tuple[int, ...], eps: float, sync: bool
    ) -> tuple[Any, ...]:
        if sync:
            result, m = _normalize_synchronised(x, dims, eps)
        else:
            result = normalize(x, dims, eps)
            m = x.numel() // result.mean.numel()
        return (result.x_hat * gamma).add_(beta), *result, m

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        _, gamma, _, ctx.dims, _, ctx.sync = inputs
        _, x_hat, mean, var, inv_std, ctx.m = output
        ctx.save_for_backward(x_hat, gamma, inv_std)
        ctx.save_for_forward(x_hat, gamma, inv_std)
        ctx.mark_non_differentiable(mean, var)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        dy, dx_hat, _, _, dinv_std, _ = gradients
        x_hat, gamma, inv_std = ctx.saved_tensors
        dx = dgamma = dbeta = None
        if dy is not None:
            dgamma, dbeta = _sums(dy, x_hat, ctx.dims)
            dx = _input_gradient(dy, x_hat, gamma * inv_std, *_batch_means(ctx, dgamma, dbeta))
        if dx_hat is not None:  # from a second derivative, as is the next
            means = _batch_means(ctx, *_sums(dx_hat, x_hat, ctx.dims))
            more = _input_gradient(dx_hat, x_hat, inv_std, *means)
            dx = more if dx is None else dx + more
        if dinv_std is not None:  # ∂s/∂xᵢ = −s² x̂ᵢ/m
            more = x_hat * (inv_std.square() * -_batch_means(ctx, dinv_std)[0])
            dx = more if dx is None else dx + more
        return dx, dgamma, dbeta, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        dx, dgamma, dbeta, *_ = tangents
        x_hat, gamma, inv_std = ctx.saved_tensors
        dx = torch.zeros_like(x_hat) if dx is None else dx
        means = _batch_means(ctx, *_sums(dx, x_hat, ctx.dims))
        dx_hat = _input_gradient(dx, x_hat, inv_std, *means)
        dy = gamma * dx_hat
        dy = dy if dgamma is None else dy + dgamma * x_hat
        dy = dy if dbeta is None else dy + dbeta
        return dy, dx_hat, None, None, -inv_std.square() * means[0], None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        """The mapped dimension goes in front, as slots do."""
        *tensors, dims, eps, sync = inputs
        in_front = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims, strict=False)
        ]
        behind = tuple(dim + 1 if dim >= 0 else dim for dim in dims)
        return _PaperBatchNorm.apply(*in_front, behind, eps, sync), (0, 0, 0, 0, 0, None)


def _batch_means(ctx: Any, *sums: Tensor) -> list[Tensor]:
    """The sums over the process's examples, as means over the mini-batch."""
    totals = sum_over_processes(*sums) if ctx.sync else sums
    return [total / ctx.m for total in totals]


# `apply` asks for it at every call; working it out costs as much as normalising a small batch.
_PaperBatchNorm.forward.__signature__ = inspect.signature(  # type: ignore[attr-defined]
    _PaperBatchNorm.forward
)


class _Compilable(_PaperBatchNorm):
    """The same for `torch.compile`, which takes no function that defines `jvp`."""

    jvp = staticmethod(torch.autograd.Function.jvp)


def paper_batch_norm(*inputs: Any) -> tuple[Any, ...]:
    """`_PaperBatchNorm.apply`, in the form that can be compiled while compiling."""
    step = _Compilable if torch.compiler.is_compiling() else _PaperBatchNorm
    return step.apply(*inputs)
