"""Batch normalisation folded into the layer before it (Algorithm 2, line 11)."""

import copy
from collections import Counter
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import _has_any_global_hook
from torch.nn.utils.fusion import fuse_conv_bn_weights

from bnrepro.errors import UserError
from bnrepro.norm.module import BatchNorm
from bnrepro.norm.tracing import Trace, copied, trace

# By layer: the dimensions of its output if that is (N, C, ...), and what may normalise it then.
_LAYOUTS: dict[type, tuple[int, tuple[type, ...]]] = {
    nn.Linear: (2, (BatchNorm, nn.BatchNorm1d, nn.SyncBatchNorm)),
    nn.Conv1d: (3, (BatchNorm, nn.BatchNorm1d, nn.SyncBatchNorm)),
    nn.Conv2d: (4, (BatchNorm, nn.BatchNorm2d, nn.SyncBatchNorm)),
    nn.Conv3d: (5, (nn.BatchNorm3d, nn.SyncBatchNorm)),
}


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """Fold each batch normalisation into the linear or convolution layer whose output it takes.

    Algorithm 2, line 11: at inference y = s·(Wu + b) + (β − s E[x]) with s = γ/√(Var + ε), which
    is one layer with weights s·W and bias s·(b − E[x]) + β.

    The result is for inference only and computes what `model.eval()` computes, to rounding. A
    pair of an `nn.Linear` or `nn.Conv*d` and a normalisation with running statistics is folded
    where it is alone: both of exactly the classes of this package and of PyTorch, without hooks
    or replaced methods, under one name each and called once; the second takes the output of the
    first, and nothing else does; nothing else reads or writes the attributes of either. Every
    other layer stays as it is.

    A folded pair holds for an output (N, C, ...). Any other, such as (N, L, C) of a linear layer on
    sequences, which is normalised over L, still passes through the two layers as they were: the
    folded layer keeps them until its first output (N, C, ...), and refuses others from then on.

    Args:
        model: traceable by `torch.fx`, optional arguments of its forward at their defaults. It is
            not changed.

    Returns:
        A copy in eval mode, of the same class. Only `forward` with the default arguments and the
        attributes that the model has now is kept the same: outputs taken from inside, between a
        folded pair, now come after the normalisation.

    Raises:
        UserError: if the model cannot be copied or traced. The folded model raises it where a
            layer's outputs are (N, C, ...) in one call and not in a later one.
    """
    folded = copied(model).eval()
    if any(folded.children()):
        before = _trace(folded)
        pairs = [pair for pair in before.pairs if _foldable(folded, *pair, before.changed)]
        _fold_pairs(folded, pairs, before)
    return folded


class _Guard:
    """Forward hook of a folded layer, whose fold holds for outputs (N, C, ...) alone."""

    def __init__(self, dimensions: int, unfolded: nn.Module) -> None:
        self.dimensions = dimensions
        self.unfolded: nn.Module | None = unfolded

    def __call__(
        self, layer: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Tensor
    ) -> Tensor | None:
        if output.ndim == self.dimensions:
            self.unfolded = None
            return None
        if self.unfolded is None:
            raise UserError(
                f"fold: {layer} was folded for outputs of {self.dimensions} dimensions, "
                f"(N, C, ...), and now gives {tuple(output.shape)}; fold the model anew for these"
            )
        return self.unfolded.to(output)(*inputs, **options)


def _trace(model: nn.Module) -> Trace:
    return trace(model, (_BatchNorm, *_LAYOUTS))


def _fold_pairs(model: nn.Module, pairs: list[tuple[str, str]], before: Trace) -> None:
    """Fold the pairs in place, but those whose layers the forward is then seen to miss.

    A trace shows what calls a layer, not what else the model's code does with it (a second
    reference, an attribute read, a sum over all parameters). So the folded model is traced again,
    and must do the same; where it does not, halves are tried.
    """
    layers = {name: model.get_submodule(name) for name in chain(*pairs)}
    for producer, norm in pairs:
        model.set_submodule(producer, _fused(layers[producer], layers[norm]))
        model.set_submodule(norm, nn.Identity().eval())
    if not pairs or _still_does(model, before):
        return
    for name, layer in layers.items():
        model.set_submodule(name, layer)
    if len(pairs) > 1:
        middle = len(pairs) // 2
        _fold_pairs(model, pairs[:middle], before)
        _fold_pairs(model, pairs[middle:], before)


def _still_does(model: nn.Module, before: Trace) -> bool:
    try:
        return _trace(model).equals(before)
    except UserError:
        return False


def _foldable(model: nn.Module, producer_name: str, norm_name: str, changed: set[str]) -> bool:
    producer: Any = model.get_submodule(producer_name)
    norm = model.get_submodule(norm_name)
    dimensions, norms = _LAYOUTS.get(type(producer), (0, ()))
    if type(norm) not in norms or changed & {producer_name, norm_name}:
        return False
    assert isinstance(norm, _BatchNorm)
    if norm.training or norm.running_mean is None or norm.running_var is None:
        return False
    if isinstance(norm.num_features, tuple) and dimensions > 2:
        return False  # one γ and β per activation, not per channel
    fits = norm.running_mean.shape == producer.weight.shape[:1]
    return fits and all(_plain(layer) and _unshared(model, layer) for layer in (producer, norm))


def _plain(layer: nn.Module) -> bool:
    """Whether the layer does what its class says: no hook, no replaced method or tensor class."""
    if _has_any_global_hook():
        return False
    for name, value in vars(layer).items():
        if (name.endswith("_hooks") and value) or callable(getattr(type(layer), name, None)):
            return False
    tensors = chain(layer.parameters(), layer.buffers())
    return all(type(tensor) in (Tensor, nn.Parameter) for tensor in tensors)


def _unshared(model: nn.Module, layer: nn.Module) -> bool:
    """Whether the layer has one name, and its tensors one owner."""
    modules = [module for _, module in model.named_modules(remove_duplicate=False)]
    owned = chain(*((*m._parameters.values(), *m._buffers.values()) for m in set(modules)))
    owners = Counter(map(id, owned))
    tensors = chain(layer.parameters(), layer.buffers())
    return modules.count(layer) == 1 and all(owners[id(tensor)] == 1 for tensor in tensors)


def _fused(producer: Any, norm: Any) -> nn.Module:
    weight, bias, mean, var = producer.weight, producer.bias, norm.running_mean, norm.running_var
    dtype = torch.promote_types(torch.promote_types(weight.dtype, mean.dtype), torch.float32)
    bias = None if bias is None else bias.to(dtype)
    mean, var = mean.to(dtype), var.to(dtype)
    # The function is for convolutions; a linear layer's weight is one without further dimensions.
    fused = fuse_conv_bn_weights(
        weight.to(dtype), bias, mean, var, norm.eps, norm.weight, norm.bias
    )
    layer = copy.deepcopy(producer)
    layer.weight, layer.bias = (
        nn.Parameter(t.to(weight.dtype), weight.requires_grad) for t in fused
    )
    guard = _Guard(_LAYOUTS[type(layer)][0], nn.Sequential(producer, norm))
    layer.register_forward_hook(guard, with_kwargs=True)
    return layer
