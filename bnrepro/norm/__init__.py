"""Batch normalisation as the paper defines it: the transform, its statistics and its folding.

`normalize` and `normalize_backward` are Algorithm 1 and its gradients on plain tensors;
`BatchNorm` is the layer; `population_statistics` is line 10 of Algorithm 2 and `fold` its line 11.
Each is held against PyTorch's batch normalisation in `tests/norm/`.
"""

from bnrepro.norm.checks import NormError
from bnrepro.norm.folding import fold
from bnrepro.norm.functional import Normalized, normalize, normalize_backward
from bnrepro.norm.module import BatchNorm
from bnrepro.norm.population import population_statistics

__all__ = [
    "BatchNorm",
    "NormError",
    "Normalized",
    "fold",
    "normalize",
    "normalize_backward",
    "population_statistics",
]
