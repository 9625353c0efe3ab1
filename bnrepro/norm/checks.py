"""What the layer refuses, each with one line that says what it got and what it takes."""

import math
import operator
from typing import Any

import torch
from torch import Tensor

from bnrepro.errors import UserError

ENGINES = ("paper", "torch")


class NormError(UserError, ValueError):
    """A setting, a shape or a batch that batch normalisation is not defined for."""


def feature_sizes(num_features: Any) -> int | tuple[int, ...]:
    """`num_features` in Python's integers (symbolic ones as they are); raises `NormError`.

    NumPy's integers and integer tensors of one value are integers too; truth values are not.
    """
    try:
        if isinstance(num_features, tuple) and num_features:
            return tuple(map(_size, num_features))
        return _size(num_features)
    except (TypeError, ValueError):
        raise NormError(
            f"BatchNorm: num_features must be a positive integer or a tuple of them, "
            f"got {num_features!r}"
        ) from None


def _size(value: Any) -> Any:
    if isinstance(value, bool) or getattr(value, "dtype", None) == torch.bool:
        raise TypeError("a truth value is no size")
    size = value if isinstance(value, torch.SymInt) else operator.index(value)
    if size < 1:
        raise ValueError("a size is positive")
    return size


def check_settings(eps: float, momentum: float | None, sync: bool, engine: str) -> None:
    """Refuse settings outside their range; raises `NormError` naming the setting."""
    if not (math.isfinite(eps) and eps >= 0):
        raise NormError(f"BatchNorm: eps must be a finite number >= 0, got {eps!r}")
    if momentum is not None and not 0 <= momentum <= 1:
        raise NormError(
            f"BatchNorm: momentum is the weight of the new batch, in [0, 1], or None for the "
            f"plain average; got {momentum!r}"
        )
    if engine not in ENGINES:
        raise NormError(f"BatchNorm: unknown engine {engine!r}; one of {', '.join(ENGINES)}")
    if eps == 0 and engine == "torch":
        raise NormError("BatchNorm: eps=0 needs engine='paper'; torch's refuses it in training")
    if sync and engine == "torch":
        raise NormError("BatchNorm: sync=True needs engine='paper'; torch's refuses CPU tensors")


def check_input(x: Tensor, num_features: int | tuple[int, ...]) -> None:
    """Refuse an input whose shape or type does not fit the layer; raises `NormError`."""
    if isinstance(num_features, tuple):
        fits = tuple(x.shape[1:]) == num_features
        expected = f"(N, {', '.join(map(str, num_features))})"
    else:
        fits = 2 <= x.ndim <= 4 and x.shape[1] == num_features
        expected = f"(N, C), (N, C, L) or (N, C, H, W) with C = {num_features}"
    if not fits:
        raise NormError(f"BatchNorm: expected input of shape {expected}, got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise NormError(f"BatchNorm: expected floating-point input, got {x.dtype}")


def check_count(count: int, shape: tuple[int, ...]) -> None:
    """Refuse a mini-batch of fewer than two values a feature: it has no variance."""
    if count < 2:
        raise NormError(
            f"BatchNorm: training needs more than one value per feature, got {count} "
            f"(input {shape}); use a larger mini-batch, drop the last short one, or call eval()"
        )
