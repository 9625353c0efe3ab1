"""Population statistics for inference (Algorithm 2, lines 8 to 10)."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim.swa_utils import update_bn

from bnrepro.errors import UserError


@torch.no_grad()
def population_statistics(model: nn.Module, batches: Iterable[Any]) -> None:
    """Replace every layer's running statistics by averages over training mini-batches.

    Algorithm 2, line 10: E[x] = E_B[μ_B];  Var[x] = m/(m − 1) · E_B[σ²_B].

    The parameters stay fixed, and the mini-batches pass through the network in training form, so
    that each layer sees inputs normalised as in training. Dropout layers are off, as at inference:
    left on, they would widen the variances measured behind them. Batches count equally, so give
    them equal sizes (drop a short last one). `torch.optim.swa_utils.update_bn` does the averaging.

    Args:
        model: any module that holds batch normalisation layers, this package's or PyTorch's; its
            `running_mean` and `running_var` are replaced in place, and all else is as before
            when the call returns, each module's mode and momentum included.
        batches: tensors, or tuples whose first element is the input tensor; they are moved to the
            model's device.

    Raises:
        UserError: without batches or without a layer that keeps running statistics. Then, and
            when a batch fails, the statistics are left as they were.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    layers = [norm for norm in norms if norm.track_running_stats]
    if not layers:
        raise UserError(
            f"population_statistics: {type(model).__name__} has no batch normalisation layer "
            "with running statistics"
        )
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise UserError("population_statistics: no batches given; pass at least one mini-batch")
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    before = [[b.clone() for b in layer.buffers(recurse=False)] for layer in layers]
    try:
        passes = _without_dropout(model, chain([first], iterator))
        update_bn(passes, model, device=layers[0].running_mean.device)  # type: ignore[union-attr]
    except BaseException:
        _restore(layers, before)
        raise
    finally:
        for module, mode in modes.items():
            module.training = mode
        for norm, momentum in momenta.items():
            norm.momentum = momentum


def _without_dropout(model: nn.Module, batches: Iterable[Any]) -> Iterator[Any]:
    """The batches; on the first request, after `update_bn` chose its modes, dropout goes off."""
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.training = False
    yield from batches


def _restore(layers: list[_BatchNorm], buffers: list[list[Tensor]]) -> None:
    for layer, saved in zip(layers, buffers, strict=True):
        for buffer, value in zip(layer.buffers(recurse=False), saved, strict=True):
            buffer.copy_(value)
