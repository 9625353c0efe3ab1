"""The transforms that Section 2 compares with BN: centring alone, and full whitening."""

from typing import Any, NamedTuple

from torch import Tensor

from bnrepro.models.mlp import SlotMLP
from bnrepro.models.transforms import Affine, BatchTransform, Statistics, Transform, Transformed
from bnrepro.norm.whitening import whiten, whiten_backward

ARMS = ("baseline", "centre", "bn", "whiten")


class Centred(NamedTuple):
    """Values x̂ with the mean that was subtracted."""

    x_hat: Tensor  # (S, m, d)
    mean: Tensor  # (S, 1, d)


def centre(x: Tensor) -> Centred:
    """x − E[x] of x (S, m, d), by the mean of its m rows."""
    mean = x.mean(1, keepdim=True)
    return Centred(x - mean, mean)


def centre_backward(dx_hat: Tensor, forward: Centred) -> Tensor:
    """∂ℓ/∂x from ∂ℓ/∂x̂, through the mean."""
    return dx_hat - dx_hat.mean(1, keepdim=True)


class Centring(Affine):
    """x̂ = x − E[x]; for inference with the mean that `SlotMLP.freeze` took."""

    def standardise(
        self, net: SlotMLP, name: str, x: Tensor, statistics: Statistics
    ) -> Transformed:
        mean = net.population[f"{name}.mean"] if statistics != "batch" else None
        state = centre(x) if mean is None else Centred(x - mean, mean)
        return Transformed(state.x_hat, state)

    def standardise_backward(self, dx_hat: Tensor, state: Any) -> Tensor:
        return centre_backward(dx_hat, state)

    def freeze(self, state: Any) -> dict[str, Tensor]:
        return {"mean": state.mean}


class Whitening(Affine):
    """x̂ = (Cov[x] + ridge · I)^(−1/2) (x − E[x]); for inference with what `SlotMLP.freeze` took."""

    def __init__(self, ridge: float) -> None:
        self.ridge = ridge

    def standardise(
        self, net: SlotMLP, name: str, x: Tensor, statistics: Statistics
    ) -> Transformed:
        if statistics == "batch":
            whitened = whiten(x, self.ridge)
            return Transformed(whitened.x_hat, whitened)
        mean, matrix = (net.population[f"{name}.{key}"] for key in ("mean", "matrix"))
        state = Centred((x - mean) @ matrix, mean)
        return Transformed(state.x_hat, state)

    def standardise_backward(self, dx_hat: Tensor, state: Any) -> Tensor:
        """∂ℓ/∂x from ∂ℓ/∂x̂, through mean and covariance."""
        return whiten_backward(dx_hat, state)

    def freeze(self, state: Any) -> dict[str, Tensor]:
        """The mean and (Cov[x] + ridge · I)^(−1/2)."""
        return {"mean": state.mean, "matrix": state.matrix}


def transform_of(arm: str, ridge: float) -> Transform:
    """An arm's transform; `ridge` is ε for BN and of no effect on `baseline` and `centre`."""
    if arm == "bn":
        return BatchTransform(ridge)
    if arm == "whiten":
        return Whitening(ridge)
    return Centring() if arm == "centre" else Transform()
