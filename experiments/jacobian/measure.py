"""Section 3.3, a conjecture: with BN, layer Jacobians have singular values near 1.

Between consecutive nonlinearities, inputs x and z, z = W g(x) + b, or with BN
z = γ (W g(x) − μ)/√(σ² + ε) + β. The Jacobian of the map between the two normalised vectors,
x̂ = D_x⁻¹ (x − E[x]) and ẑ = D_z⁻¹ (z − E[z]), is for one example

    J = D_z⁻¹ (∂z/∂x) D_x,    ∂z/∂x = diag(s) W diag(g′(x)),    s = γ/√(σ² + ε) with BN, else 1,

D the units' standard deviations over the probe images. All statistics are constants, as at test
time, and both arms are measured by the same definition: D_z cancels s up to its sign, so that the
arms differ by where x lies on g and by W, not because BN rescales z.

The paper's argument: if x̂ and ẑ are Gaussian and uncorrelated and F is linear, then
I = Cov[ẑ] = J Cov[x̂] Jᵀ = J Jᵀ. `exact_row` checks it and what is left of it when units are only
scaled to unit variance; `random_row` measures matrices of N(0, 1/n) entries for comparison.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import HiddenLayer, SlotMLP, in_float64
from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.run.cells import Cell, run_cells
from bnrepro.run.values import number
from bnrepro.seeding import stream
from bnrepro.training.slot_rows import sweep_trainer
from bnrepro.training.slots import SlotTrainer
from experiments.jacobian import JacobianConfig
from experiments.jacobian.metrics import NEAR, QUANTILES

ZERO = 1e-12  # a singular value this small beside the largest counts as 0


def run(cfg: JacobianConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg))


def cells(cfg: JacobianConfig) -> list[Cell]:
    """At each width the exact argument, random matrices, and both arms with each activation."""
    result: list[Cell] = []
    for width in cfg.widths:
        random = partial(random_row, count=cfg.jacobian_examples)
        result += [partial(matrix_rows, row=row, width=width) for row in (exact_row, random)]
        for activation, lr in zip(cfg.activations, cfg.lr, strict=True):
            key = {"width": width, "activation": activation}
            result += [partial(network_rows, key=key, arm=a, lr=lr) for a in ("baseline", "bn")]
    return result


def matrix_rows(
    cfg: JacobianConfig, data: Dataset, device: torch.device,
    row: Callable[[int, int], Row], width: int,
) -> Iterator[Row]:  # fmt: skip
    """A row a seed of what needs no network."""
    yield from (row(width, seed) for seed in seed_list(cfg.seeds))


# --- singular values -----------------------------------------------------------------------------


def spectrum(jacobians: Tensor) -> Row:
    """Singular values of matrices (P, n, n), the numbers of each averaged over the P.

    `share` lies within [½, 2]; `rank` is the share that is not 0; `condition` is log₁₀ of largest
    over smallest, None when some matrix has no full rank; `q0` … `q100` are quantiles.
    """
    if not bool(jacobians.isfinite().all()):
        keys = ("share", "below", "above", "rank", "condition", *(f"q{q}" for q in QUANTILES))
        return dict.fromkeys(keys)
    values = torch.linalg.svdvals(jacobians)  # descending
    largest, smallest = values[:, 0], values[:, -1]
    quantiles = values.quantile(torch.tensor(QUANTILES, dtype=values.dtype) / 100, dim=1).mean(1)
    full = bool((smallest > ZERO * largest).all())
    return {
        "share": float(((values >= NEAR[0]) & (values <= NEAR[1])).double().mean()),
        "below": float((values < NEAR[0]).double().mean()),
        "above": float((values > NEAR[1]).double().mean()),
        "rank": float((values > ZERO * largest[:, None]).double().mean()),
        "condition": float((largest / smallest).log10().mean()) if full else None,
        **{f"q{q}": float(v) for q, v in zip(QUANTILES, quantiles, strict=True)},
    }


def random_row(width: int, seed: int, count: int) -> Row:
    """The singular values of `count` matrices (n, n) of N(0, 1/n) entries."""
    generator = stream(seed, "jacobian", "random", width)
    matrices = torch.randn(count, width, width, generator=generator, dtype=torch.float64)
    return {"part": "random", "width": width, "seed": seed, **spectrum(matrices / width**0.5)}


# --- the argument itself -------------------------------------------------------------------------


def exact_row(width: int, seed: int) -> Row:
    """ẑ = F(x̂) linear with Cov[x̂] = I, for a random A: z = A x̂, Cov[z] = A Aᵀ.

    Full whitening of z gives J = Cov[z]^(−1/2) A and J Jᵀ = I (`identity_error`: the largest entry
    of |J Jᵀ − I|). Scaling each unit to unit variance, as BN does, gives J = D_z⁻¹ A, for which
    only the diagonal of J Jᵀ is 1 (`bn_diagonal_error`; `bn_identity_error`; `bn_share`).
    """
    generator = stream(seed, "jacobian", "exact", width)
    a = torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    vectors, roots, _ = torch.linalg.svd(a)  # of A itself: eigh(A Aᵀ) would square its condition
    whitened = (vectors / roots) @ vectors.T @ a
    scaled = a / (a @ a.T).diagonal().sqrt()[:, None]
    error = (whitened @ whitened.T - torch.eye(width)).abs().max()
    bn_error = (scaled @ scaled.T - torch.eye(width)).abs()
    return {
        "part": "exact",
        "width": width,
        "seed": seed,
        "identity_error": float(error),
        "bn_diagonal_error": float(bn_error.diagonal().max()),
        "bn_identity_error": float(bn_error.max()),
        **{f"bn_{k}": v for k, v in spectrum(scaled[None]).items() if k in ("share", "condition")},
    }


# --- networks ------------------------------------------------------------------------------------


def network_rows(
    cfg: JacobianConfig, data: Dataset, device: torch.device, key: Row, arm: str, lr: float
) -> Iterator[Row]:
    """Train all seeds of a width, activation and arm at once; rows a stop, layer and seed."""
    transform = BatchTransform(cfg.eps) if arm == "bn" else Transform()
    hidden, activation = [key["width"]] * cfg.hidden_layers, key["activation"]
    trainer = sweep_trainer(
        cfg, data, device, transform, [lr], activation=activation, hidden=hidden
    )
    common = {"part": "network", **key, "arm": arm}
    if cfg.stops[0] == 0:
        yield from (common | row for row in stop_rows(cfg, trainer, [None] * len(trainer.slots)))
    for losses in trainer.run(cfg.stops):
        yield from (common | row for row in stop_rows(cfg, trainer, list(map(number, losses))))


def stop_rows(
    cfg: JacobianConfig, trainer: SlotTrainer, losses: list[float | None]
) -> Iterator[Row]:
    """Two rows a layer and seed at the present step.

    The row `example` has the mean over the spectra of the examples' Jacobians, the row `mean` the
    spectrum of their mean over the probe images.
    """
    net = in_float64(trainer.net)
    layers = net.forward(trainer.x[: cfg.probe_examples].double())[1]
    for layer, (before, after) in enumerate(pairwise(layers), start=1):
        scales = output_scale(net, net.hidden[layer], after)
        for i, slot in enumerate(trainer.slots):
            x, z = before.a[i], after.a[i]
            weight = net.params[f"{net.hidden[layer]}.weight"][i]
            slopes = slope(x, net.sigmoid)
            each = jacobian(slopes[: cfg.jacobian_examples], weight, scales[i], x, z)
            mean = jacobian(slopes.mean(0, keepdim=True), weight, scales[i], x, z)
            key = {"seed": slot.seed, "layer": layer, "step": trainer.step, "loss": losses[i]}
            key |= {"correlation": correlation(x), "kurtosis": excess_kurtosis(x)}
            key |= {"nonlinearity": nonlinearity(each, mean[0])}
            yield {**key, "matrix": "example", **spectrum(each.cpu())}
            yield {**key, "matrix": "mean", **spectrum(mean.cpu())}


def slope(x: Tensor, sigmoid: bool) -> Tensor:
    """g′(x): y(1 − y) of the sigmoid, or 1 where x > 0 for ReLU."""
    if not sigmoid:
        return (x > 0).to(x.dtype)
    y = torch.sigmoid(x)
    return y * (1 - y)


def output_scale(net: SlotMLP, name: str, layer: HiddenLayer) -> Tensor:
    """s of ∂z/∂x = diag(s) W diag(g′(x)), (S, units): γ/√(σ² + ε), or ones without BN."""
    if layer.state is None:
        return torch.ones_like(layer.a[:, 0])
    return (net.params[f"{name}.gamma"] * layer.state.inv_std)[:, 0]


def jacobian(slopes: Tensor, weight: Tensor, scale: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """J = D_z⁻¹ diag(s) W diag(g′) D_x for each row of `slopes` (P, n): (P, units, n).

    `weight` is stored as (n, units), the transpose of the paper's W; x and z are the probe's
    inputs to the two nonlinearities, (N, n) and (N, units), and give D_x and D_z.
    """
    left = scale / z.std(0, correction=0)
    right = slopes * x.std(0, correction=0)
    return left[None, :, None] * weight.T * right[:, None, :]


# --- how far a layer is from what the argument assumes: uncorrelated, Gaussian, linear -----------


def correlation(x: Tensor) -> float | None:
    """Mean absolute correlation between different units of x (N, n); constant units left out."""
    centred = x - x.mean(0)
    std = centred.square().mean(0).sqrt()
    kept = centred[:, std > 0] / std[std > 0]
    r = (kept.T @ kept / len(x)).abs()
    n = len(r)
    return number((r.sum() - r.diagonal().sum()) / (n * (n - 1)))


def excess_kurtosis(x: Tensor) -> float | None:
    """Mean over units of |E[x̂⁴] − 3|: 0 for a Gaussian."""
    x_hat = (x - x.mean(0)) / x.std(0, correction=0)
    return number((x_hat.pow(4).mean(0) - 3).abs().mean())


def nonlinearity(each: Tensor, mean: Tensor) -> float | None:
    """How far an example's Jacobian is from the mean one: 0 for a linear layer, relative."""
    distance = torch.linalg.matrix_norm(each - mean).mean()
    return number(distance / torch.linalg.matrix_norm(mean))
