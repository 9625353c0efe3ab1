"""Population statistics for inference (Algorithm 2, lines 8 to 10)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnrepro.errors import UserError


@torch.no_grad()
def population_statistics(model: nn.Module, batches: Iterable[Any]) -> None:
    """Replace the layers' running statistics by averages over training mini-batches.

    Algorithm 2, line 10: E[x] = E_B[μ_B];  Var[x] = m/(m − 1) · E_B[σ²_B].

    The parameters stay fixed. The batch normalisation layers estimated are in training mode, so
    that each sees inputs normalised as in training; every other module is in evaluation mode, as
    at inference: dropout left on would widen the variances measured behind it. Batches count
    equally, so give them equal sizes (drop a short last one).

    A layer is frozen, and keeps its statistics, if `track_running_stats` is False or if it is in
    evaluation mode while the model is in training mode. So does a layer that no batch reaches.

    Args:
        model: any module that holds batch normalisation layers, this package's or PyTorch's; their
            statistics and counts are replaced in place. All else is as before when the call
            returns: modes, momenta, other buffers, the random state of the CPU and of the model's
            CUDA devices.
        batches: tensors, or tuples whose first element is the input tensor; they are moved to the
            model's device.

    Raises:
        UserError: without batches, for batches of another type, or without a layer to estimate.
            Then, and when a batch fails, everything is left as it was.
    """
    layers: list[Any] = [m for m in model.modules() if _estimable(m, model.training)]
    if not layers:
        raise UserError(
            f"population_statistics: {type(model).__name__} has no batch normalisation layer "
            "with running statistics that is not frozen"
        )
    if isinstance(batches, Tensor):
        raise UserError(
            "population_statistics: batches is one tensor; pass a list of mini-batches, "
            "such as x.split(64)"
        )
    device = layers[0].running_mean.device
    tensors = [*model.parameters(), *model.buffers()]
    gpus = sorted({t.get_device() for t in tensors if t.is_cuda})
    with _estimating(model, layers), torch.random.fork_rng(gpus):
        number = 0
        for number, batch in enumerate(batches, start=1):
            model(_input(batch, number).to(device))
        if not number:
            raise UserError("population_statistics: no batches given; pass at least one mini-batch")


def _estimable(module: nn.Module, model_trains: bool) -> bool:
    if not isinstance(module, _BatchNorm) or module.running_mean is None:
        return False
    return module.track_running_stats and (module.training or not model_trains)


@contextmanager
def _estimating(model: nn.Module, layers: list[Any]) -> Iterator[None]:
    """The layers average over what they see; what they saw stays, all else is put back."""
    modes = [(module, module.training) for module in model.modules()]
    momenta = [(layer, layer.momentum) for layer in layers]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    kept: set[int] = set()
    try:
        for module, _ in modes:
            module.training = False  # not eval(), which a model may override
        for layer in layers:
            layer.reset_running_stats()
            layer.training, layer.momentum = True, None
        yield
        reached = (layer for layer in layers if layer.num_batches_tracked)
        kept = {id(buffer) for layer in reached for buffer in layer.buffers(recurse=False)}
    finally:
        for module, mode in modes:
            module.training = mode
        for layer, momentum in momenta:
            layer.momentum = momentum
        for module, name, buffer, before in buffers:
            if id(buffer) not in kept:
                module._buffers[name] = buffer.copy_(before)


def _input(batch: Any, number: int) -> Tensor:
    first = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(first, Tensor):
        raise UserError(
            f"population_statistics: batch {number} is of type {type(batch).__name__}; pass "
            "tensors, or tuples whose first element is the input tensor, such as "
            "(torch.as_tensor(b['image']) for b in loader)"
        )
    return first
