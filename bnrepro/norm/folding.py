"""Batch normalisation folded into the layer before it (Algorithm 2, line 11)."""

import copy
import inspect
from collections import Counter
from collections.abc import Iterator

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_weights
from torch.nn.utils.parametrize import is_parametrized

from bnrepro.errors import UserError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """Fold each batch normalisation into the linear or convolution layer whose output it takes.

    Algorithm 2, line 11: at inference y = s·(Wu + b) + (β − s E[x]) with s = γ/√(Var + ε), which
    is one layer with weights s·W and bias s·(b − E[x]) + β.

    The result is for inference only and computes what `model.eval()` computes, to rounding. A
    layer is folded where it alone consumes the output of an `nn.Linear` or `nn.Conv*d` with one
    feature per output, and both run once; elsewhere it stays (behind a nonlinearity, pooling, a
    transposed convolution, per activation behind a convolution, without running statistics, where
    the layer before has hooks or parametrisations). A linear layer is taken to work on (N, C).

    Args:
        model: traceable by `torch.fx` with one input, the other arguments at their defaults. It
            is not changed.

    Returns:
        A copy in eval mode, of the same class, with `nn.Identity` in place of each folded layer.
        Only `forward` with the default arguments is kept the same: outputs taken from inside,
        between a folded pair, now come after the normalisation.

    Raises:
        UserError: if the model cannot be traced.
    """
    folded = copy.deepcopy(model).eval()
    for producer_name, norm_name in list(_pairs(folded, _trace(folded))):
        producer, norm = folded.get_submodule(producer_name), folded.get_submodule(norm_name)
        if _foldable(producer, norm):
            folded.set_submodule(producer_name, _fused(producer, norm))
            folded.set_submodule(norm_name, nn.Identity().eval())
    return folded


class _Tracer(fx.Tracer):
    """Treats the layers that take part in folding, subclasses included, as single steps."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, (_BatchNorm, nn.Linear, *_CONVOLUTIONS))
        return whole or super().is_leaf_module(m, module_qualified_name)


def _trace(model: nn.Module) -> fx.Graph:
    parameters = inspect.signature(model.forward).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    try:
        return _Tracer().trace(model, concrete_args=defaults)
    except Exception as error:  # tracing runs the model's own code, which may raise anything
        raise UserError(
            f"fold: torch.fx cannot trace {type(model).__name__} "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); "
            "its forward must not branch on, or assert, values or shapes of tensors"
        ) from error


def _pairs(model: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str]]:
    """Names of (producer, norm) where the norm is the only consumer and each runs once."""
    runs = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(model.get_submodule(node.target), _BatchNorm):
            continue
        (source,) = node.all_input_nodes
        alone = source.op == "call_module" and len(source.users) == 1
        if alone and runs[source.target] == runs[node.target] == 1:
            yield source.target, node.target


def _foldable(producer: nn.Module, norm: nn.Module) -> bool:
    assert isinstance(norm, _BatchNorm)
    if norm.running_mean is None or is_parametrized(producer):
        return False
    if any(m._forward_hooks or m._forward_pre_hooks for m in (producer, norm)):
        return False
    plain = type(producer).forward in {layer.forward for layer in (nn.Linear, *_CONVOLUTIONS)}
    if isinstance(producer, nn.Linear):
        return plain and norm.running_mean.shape == (producer.out_features,)
    if isinstance(producer, _CONVOLUTIONS):
        return plain and norm.num_features == producer.out_channels  # a tuple is per activation
    return False


def _fused(producer: nn.Module, norm: nn.Module) -> nn.Module:
    assert isinstance(norm, _BatchNorm)
    if isinstance(producer, _CONVOLUTIONS):
        return fuse_conv_bn_eval(producer, norm)
    assert isinstance(producer, nn.Linear)
    # fuse_linear_bn_eval compares num_features with an int and needs γ, so its core is called.
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias
    producer.weight, producer.bias = fuse_linear_bn_weights(
        producer.weight, producer.bias, mean, var, norm.eps, gamma, beta
    )
    return producer
