"""Sums over the processes of the default group, on any backend (gloo on CPU, nccl on GPU)."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def several_processes() -> bool:
    """Whether a default process group exists and has more than one member."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_processes(*tensors: Tensor) -> list[Tensor]:
    """Add up each tensor over all processes, in one all-reduce.

    It travels as one float64 vector: counts stay exact and the sum adds no rounding. It is
    differentiable; every process then differentiates the sum of all processes' losses.

    Args:
        tensors: any shapes, the same on every process; the first one's device is used.

    Returns:
        New tensors with the shapes and types of the arguments.
    """
    device = tensors[0].device
    packed = torch.cat([t.to(device, torch.float64).flatten() for t in tensors])
    parts = _AllReduce.apply(packed).split([t.numel() for t in tensors])
    return [part.view(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]


class _AllReduce(torch.autograd.Function):
    """The sum over all processes: linear, element by element, and self-adjoint."""

    @staticmethod
    def forward(packed: Tensor) -> Tensor:
        total = packed.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _AllReduce.apply(gradient)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return _AllReduce.apply(tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int], packed: Tensor) -> tuple[Tensor, int]:
        return _AllReduce.apply(packed), in_dims[0]
