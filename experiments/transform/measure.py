"""Section 3: Algorithm 1, its gradients and its convolutional form on random values, in float64.

The mini-batch is x = Wu, (m, units), of Gaussian inputs u; each unit has a mean and a scale of its
own. Rows by `part`: `identity`, `moments`, `gradient`, `single`, `maps`.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.norm import BatchNorm, normalize, normalize_backward
from bnrepro.run.cells import run_cells
from bnrepro.seeding import stream
from experiments.transform import TransformConfig

Loss = Callable[[Tensor], Tensor]  # of a value that the chain of Algorithm 1 passes through


def run(cfg: TransformConfig) -> None:
    """Measure a cell a seed."""
    run_cells(cfg, seed_list(cfg.seeds), measure)


def measure(cfg: TransformConfig, data: Dataset, seed: int, device: torch.device) -> Iterator[Row]:
    """All rows of one seed."""
    for part in (representation_rows, gradient_rows, single_rows, map_rows):
        yield from ({"seed": seed, **row} for row in part(cfg, seed))


def normal(seed: int, name: str, *shape: int) -> Tensor:
    """Standard Gaussian values in float64, keyed by seed and name."""
    return torch.randn(shape, generator=stream(seed, name, *shape), dtype=torch.float64)


def mini_batch(cfg: TransformConfig, seed: int, m: int) -> Tensor:
    """x = Wu + b, (m, units): every unit has another mean and another scale."""
    spread = torch.logspace(-1, 1, cfg.width, dtype=torch.float64)
    x = normal(seed, "u", m, cfg.inputs) @ normal(seed, "W", cfg.inputs, cfg.width)
    return (x + normal(seed, "b", cfg.width)) * spread


def representation_rows(cfg: TransformConfig, seed: int) -> Iterator[Row]:
    """For each m and ε: is the identity recovered, and what are the moments of x̂?

    `error` is the largest |y − x| with γ = √(Var + ε) and β = E[x], in units of the unit's σ.
    `mean` and `square` are (1/m) Σ x̂ and (1/m) Σ x̂² of the unit where they are farthest from 0
    and from `expected`, σ²/(σ² + ε).
    """
    for m in cfg.batch:
        x = mini_batch(cfg, seed, m)
        for eps in cfg.eps:
            x_hat, mean, var, _ = normalize(x, 0, eps)
            gamma, beta = (var + eps).sqrt(), mean
            error = ((gamma * x_hat + beta - x).abs() / var.sqrt()).max()
            key = {"m": m, "eps": eps}
            yield {"part": "identity", **key, "error": float(error)}
            squares, expected = x_hat.square().mean(0), (var / (var + eps)).squeeze(0)
            worst = int((squares - expected).abs().argmax())
            yield {
                "part": "moments", **key, "mean": float(x_hat.mean(0).abs().max()),
                "square": float(squares[worst]), "expected": float(expected[worst]),
                "var": float(var[0, worst]),
            }  # fmt: skip


# --- gradients -----------------------------------------------------------------------------------


def gradient_rows(cfg: TransformConfig, seed: int) -> Iterator[Row]:
    """For each m, ε and h: the distance of the six gradients from central differences.

    `error` is relative to the norm of the differences. `short` is the distance of ∂ℓ/∂x, ∂ℓ/∂γ
    and ∂ℓ/∂β from the shorter form that training uses. For m = 2 and ε = 0 x̂ is ±1 whatever x
    is, so that ∂ℓ/∂x is 0 and has no relative distance: this m is left out.
    """
    for m in (m for m in cfg.batch if 2 < m <= 100):
        x = mini_batch(cfg, seed, m)
        gamma, beta = (normal(seed, name, 1, cfg.width) for name in ("gamma", "beta"))
        weight = normal(seed, "loss", m, cfg.width)
        for eps in cfg.eps:
            chain = chain_of_losses(x, gamma, beta, eps, weight)
            found = six_gradients(x, gamma, beta, eps, weight)
            short = shorter_form_distance(x, gamma, beta, eps, weight, found)
            for h in cfg.differences:
                for name, (loss, at) in chain.items():
                    error = relative_distance(found[name], central_differences(loss, at, h))
                    key = {"part": "gradient", "m": m, "eps": eps, "h": h, "of": name}
                    yield {**key, "error": error, "short": short}


def chain_of_losses(
    x: Tensor, gamma: Tensor, beta: Tensor, eps: float, weight: Tensor
) -> dict[str, tuple[Loss, Tensor]]:
    """For each quantity of the chain: ℓ = Σ weightᵢ sin(yᵢ) as a function of it, and its value.

    ℓ is a value a unit. What follows a quantity in Algorithm 1 changes with it; what precedes it,
    or stands beside it, is held.
    """
    mean = x.mean(0, keepdim=True)
    var = variance(x, mean)
    x_hat = (x - mean) / (var + eps).sqrt()

    def loss(y: Tensor) -> Tensor:
        return (weight * torch.sin(y)).sum(0)

    def of_var(x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return loss(gamma * (x - mean) / (var + eps).sqrt() + beta)

    def of_x(x: Tensor) -> Tensor:
        mean = x.mean(0, keepdim=True)
        return of_var(x, mean, variance(x, mean))

    return {
        "x_hat": (lambda value: loss(gamma * value + beta), x_hat),
        "var": (lambda value: of_var(x, mean, value), var),
        "mean": (lambda value: of_var(x, value, variance(x, value)), mean),
        "x": (of_x, x),
        "gamma": (lambda value: loss(value * x_hat + beta), gamma),
        "beta": (lambda value: loss(gamma * x_hat + value), beta),
    }


def variance(x: Tensor, mean: Tensor) -> Tensor:
    """Algorithm 1, line 2: σ² = (1/m) Σ (xᵢ − μ)²."""
    return (x - mean).square().mean(0, keepdim=True)


def six_gradients(
    x: Tensor, gamma: Tensor, beta: Tensor, eps: float, weight: Tensor
) -> dict[str, Tensor]:
    """The six equations of Section 3 as printed, from ∂ℓ/∂yᵢ = weightᵢ cos(yᵢ)."""
    m = len(x)
    mean = x.mean(0, keepdim=True)
    var = variance(x, mean)
    centred, inv_std = x - mean, (var + eps).rsqrt()
    x_hat = centred * inv_std
    dy = weight * torch.cos(gamma * x_hat + beta)
    dx_hat = dy * gamma
    dvar = (dx_hat * centred * -0.5 * (var + eps) ** -1.5).sum(0, keepdim=True)
    dmean = (dx_hat * -inv_std).sum(0, keepdim=True)
    dmean = dmean + dvar * (-2 * centred).sum(0, keepdim=True) / m
    return {
        "x_hat": dx_hat,
        "var": dvar,
        "mean": dmean,
        "x": dx_hat * inv_std + dvar * 2 * centred / m + dmean / m,
        "gamma": (dy * x_hat).sum(0, keepdim=True),
        "beta": dy.sum(0, keepdim=True),
    }


def shorter_form_distance(
    x: Tensor, gamma: Tensor, beta: Tensor, eps: float, weight: Tensor, found: dict[str, Tensor]
) -> float:
    """Largest relative distance of `normalize_backward` from the equations as printed."""
    normalized = normalize(x, 0, eps)
    dy = weight * torch.cos(gamma * normalized.x_hat + beta)
    short = normalize_backward(dy, normalized.x_hat, gamma, normalized.inv_std, 0)
    pairs = zip(("x", "gamma", "beta"), short, strict=True)
    return max(relative_distance(found[name], value) for name, value in pairs)


def central_differences(loss: Loss, at: Tensor, h: float) -> Tensor:
    """(ℓ(v + h) − ℓ(v − h)) / 2h for every example of `at`, (m or 1, units).

    h is taken in units of each unit's own spread, or of the value where there is but one. A unit's
    loss depends on that unit alone, so all units are moved at once.
    """
    spread = at.std(0, correction=0) if len(at) > 1 else at[0].abs()
    rows = []
    for i in range(len(at)):
        step = torch.zeros_like(at)
        step[i] = h * spread
        rows.append((loss(at + step) - loss(at - step)) / (2 * step[i]))
    return torch.stack(rows)


def relative_distance(value: Tensor, target: Tensor) -> float:
    """Of the unit where it is largest, ‖value − target‖ / ‖target‖ over the examples."""
    return float(((value - target).norm(dim=0) / target.norm(dim=0)).max())


# --- statistics of one example, and of feature maps ----------------------------------------------


def single_rows(cfg: TransformConfig, seed: int) -> Iterator[Row]:
    """For each a: how far the normalised values of one example move when it is multiplied by a.

    `own`: with the mean and variance over its own units; `batch`: over the examples, the others
    held. Both relative to the norm of its normalised values before, at ε = 0.
    """
    m = max(cfg.batch)
    x = normal(seed, "u", m, cfg.inputs) @ normal(seed, "W", cfg.inputs, cfg.width)
    for a in cfg.factors:
        scaled = torch.cat([a * x[:1], x[1:]])
        row: Row = {"part": "single", "a": a}
        for name, dim in (("own", 1), ("batch", 0)):
            before, after = (normalize(values, dim, 0.0).x_hat[0] for values in (x, scaled))
            row[name] = float((after - before).norm() / before.norm())
        yield row


def map_rows(cfg: TransformConfig, seed: int) -> Iterator[Row]:
    """For each m and ε: how far a convolutional layer's BN is from Algorithm 1 on m·p·q values.

    `error` is that of the output, `variance_error` that of the stored variance, m′/(m′−1) σ²; both
    relative.
    """
    maps, *sides = cfg.maps
    for m, eps in ((m, eps) for m in cfg.batch for eps in cfg.eps):
        images = normal(seed, "maps", m, maps, *sides)
        layer = BatchNorm(maps, eps=eps, momentum=None).double()
        y = layer(images).detach()
        columns = images.transpose(0, 1).reshape(maps, -1)  # of each map its m·p·q values
        var, mean = torch.var_mean(columns, 1, correction=0, keepdim=True)
        expected = ((columns - mean) / (var + eps).sqrt()).reshape(maps, m, *sides).transpose(0, 1)
        count = columns.shape[1]
        stored = layer.running_var / (count / (count - 1) * var.squeeze(1))
        yield {
            "part": "maps", "m": m, "eps": eps, "count": count,
            "error": float((y - expected).norm() / expected.norm()),
            "variance_error": float((stored - 1).abs().max()),
        }  # fmt: skip
