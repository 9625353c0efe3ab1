"""Sums over the processes of the default group, on any backend (gloo on CPU, nccl on GPU)."""

import torch
import torch.distributed as dist
from torch import Tensor


def several_processes() -> bool:
    """Whether a default process group exists and has more than one member."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_processes(*tensors: Tensor) -> list[Tensor]:
    """Add up each tensor over all processes, in one all-reduce.

    It travels as one float64 vector: counts stay exact and the sum adds no rounding. It is not
    differentiable; `_PaperBatchNorm` calls it in its forward and again in its backward pass.

    Args:
        tensors: any shapes, the same on every process; the first one's device is used.

    Returns:
        New tensors with the shapes and types of the arguments.
    """
    device = tensors[0].device
    packed = torch.cat([t.to(device, torch.float64).flatten() for t in tensors])
    dist.all_reduce(packed)
    parts = packed.split([t.numel() for t in tensors])
    return [part.view(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]
