"""Section 3.3: the scale of a layer's weights under Batch Normalization.

For a > 0 and ε = 0: BN((aW)u) = BN(Wu), ∂BN((aW)u)/∂u = ∂BN(Wu)/∂u and
∂BN((aW)u)/∂(aW) = (1/a) ∂BN(Wu)/∂W. With ε, and with a of either sign,
BN_ε((aW)u) = sign(a) BN_{ε/a²}(Wu), because Var[aWu] + ε = a² (Var[Wu] + ε/a²). `exact_rows`
measures both in float64 with the plain layer beside them; `training_rows` follows weights and
gradients of trained networks.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.func import jacrev

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import SlotMLP
from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.norm import normalize
from bnrepro.run.cells import Cell, run_cells
from bnrepro.training.slot_rows import by_slot, first_layer, sweep_trainer
from experiments.scale_invariance import ScaleInvarianceConfig
from experiments.scale_invariance.metrics import ERRORS

Layer = Callable[[Tensor, Tensor], Tensor]  # (u, W) -> (m, units)


def run(cfg: ScaleInvarianceConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg))


def cells(cfg: ScaleInvarianceConfig) -> list[Cell]:
    """For each seed a layer with every ε and one without BN; then the training of both arms."""
    layers = [(seed, eps) for seed in seed_list(cfg.seeds) for eps in [*cfg.exact_eps, None]]
    exact = [partial(exact_rows, seed=seed, eps=eps) for seed, eps in layers]
    return [*exact, *(partial(training_rows, arm=arm) for arm in ("baseline", "bn"))]


# --- exact: one layer in float64 ---------------------------------------------------------------


@dataclass(frozen=True)
class Derivatives:
    """A layer's output, all derivatives of it, and norms behind the sigmoid that follows."""

    output: Tensor  # (m, units), BN(Wu), or Wu without BN
    by_input: Tensor  # (m, units, m, inputs), ∂output/∂u
    by_weight: Tensor  # (m, units, inputs, units), ∂output/∂W
    flow: float  # ‖∂z/∂u‖, z = sigmoid(output)
    pull: float  # ‖∂z/∂W‖


def differentiate(layer: Layer, u: Tensor, weight: Tensor) -> Derivatives:
    """The layer's output and derivatives at u and W."""
    output = layer(u, weight)
    by_input, by_weight = jacrev(layer, argnums=(0, 1))(u, weight)
    z = torch.sigmoid(output)
    slope = (z * (1 - z))[..., None, None]  # of the sigmoid, entry by entry
    norms = (float((slope * d).norm()) for d in (by_input, by_weight))
    return Derivatives(output, by_input, by_weight, *norms)


def normalized_layer(eps: float) -> Layer:
    """BN(Wu) with γ = 1 and β = 0."""
    return lambda u, weight: normalize(u @ weight, (0,), eps).x_hat


def exact_rows(
    cfg: ScaleInvarianceConfig, data: Dataset, device: torch.device, seed: int, eps: float | None
) -> Iterator[Row]:
    """A row for each a: how far the layer with weights aW is from the one with W.

    With BN, or without where ε is None. `output_error`, `jacobian_error` and `gradient_error` are
    relative to the equations of ε = 0, `prediction_error` (with BN) to those of ε/a², the largest
    of the three; `flow` and `pull` are norms behind the sigmoid relative to those at a = 1.
    """
    u, weight = first_layer(cfg, data.train_images[: cfg.exact_examples], seed, cfg.exact_units)
    layer: Layer = torch.matmul if eps is None else normalized_layer(eps)
    reference = differentiate(layer, u, weight)
    for a in [sign * size for size in cfg.exact_scales for sign in (1, -1)]:
        scaled = differentiate(layer, u, a * weight)
        row = {"part": "exact", "seed": seed, "eps": eps, "a": a}
        row |= dict(zip(ERRORS, errors(scaled, reference, a), strict=True))
        row |= {"flow": scaled.flow / reference.flow, "pull": scaled.pull / reference.pull}
        if eps is not None:
            predicted = differentiate(normalized_layer(eps / a**2), u, weight)
            row["prediction_error"] = max(errors(scaled, predicted, a))
        yield row


def errors(scaled: Derivatives, reference: Derivatives, a: float) -> tuple[float, float, float]:
    """Relative distance of output, ∂/∂u and ∂/∂(aW) from sign(a)·(output, ∂/∂u, (1/a) ∂/∂W).

    ∂/∂(aW) carries the sign of the output and 1/a: together 1/|a|.
    """
    sign = math.copysign(1, a)
    return (
        relative_distance(scaled.output, sign * reference.output),
        relative_distance(scaled.by_input, sign * reference.by_input),
        relative_distance(scaled.by_weight, reference.by_weight / abs(a)),
    )


def relative_distance(value: Tensor, target: Tensor) -> float:
    """‖value − target‖ / ‖target‖."""
    return float((value - target).norm() / target.norm())


# --- training ------------------------------------------------------------------------------------


def training_rows(
    cfg: ScaleInvarianceConfig, data: Dataset, device: torch.device, arm: str
) -> Iterator[Row]:
    """Train rates × seeds at once; a row a network and stop, all hidden layers together.

    `loss` is the mean training loss since the last stop, the other columns are those of `probe` on
    a fixed batch of ten mini-batches in one.
    """
    transform = BatchTransform(cfg.eps) if arm == "bn" else Transform()
    trainer = sweep_trainer(cfg, data, device, transform, cfg.lr)
    count = min(10 * cfg.batch, len(trainer.x))
    x = trainer.x[:count].expand(len(trainer.slots), -1, -1)
    labels = trainer.labels[:count].expand(len(trainer.slots), -1)
    for losses in trainer.run(cfg.stops):
        probed = probe(trainer.net, x, labels, trainer.lr.flatten(), cfg.probe_scale)
        for slot, row in by_slot(trainer, {"loss": losses, **probed}):
            key = {"part": "training", "arm": arm, "seed": slot.seed, "lr": slot.lr}
            yield {**key, "probe_scale": cfg.probe_scale, "step": trainer.step, **row}


def probe(net: SlotMLP, x: Tensor, labels: Tensor, lr: Tensor, factor: float) -> dict[str, Tensor]:
    """Norms of the hidden weights and their gradients on a batch, (S,) each; it changes nothing.

    `weight` ‖W‖; `gradient` ‖∂ℓ/∂W‖; `relative_step` lr ‖∂ℓ/∂W‖/‖W‖; `effective_rate` lr/‖W‖²;
    `cosine` between W and ∂ℓ/∂W; `gradient_ratio`: ‖∂ℓ/∂W‖ at `factor` times the hidden weights
    over ‖∂ℓ/∂W‖.
    """
    keys = [f"{name}.weight" for name in net.hidden]
    grads, scaled = (scaled_copy(net, a).gradients(x, labels)[1] for a in (1, factor))
    weight, gradient = joint_norm(net.params, keys), joint_norm(grads, keys)
    inner = torch.stack([(net.params[k] * grads[k]).sum((1, 2)) for k in keys]).sum(0)
    return {
        "weight": weight,
        "gradient": gradient,
        "relative_step": lr * gradient / weight,
        "effective_rate": lr / weight.square(),
        "cosine": inner / (weight * gradient),
        "gradient_ratio": joint_norm(scaled, keys) / gradient,
    }


def scaled_copy(net: SlotMLP, factor: float) -> SlotMLP:
    """The network with its hidden weights multiplied; its gradients leave `net` as it is."""
    copy = net.with_transform(net.transform)
    hidden = {f"{name}.weight": factor * net.params[f"{name}.weight"] for name in net.hidden}
    copy.params = net.params | hidden
    copy.moving = {key: value.clone() for key, value in net.moving.items()}
    return copy


def joint_norm(tensors: dict[str, Tensor], keys: list[str]) -> Tensor:
    """The norm (S,) of several layers' tensors taken together."""
    return torch.stack([tensors[key].square().sum((1, 2)) for key in keys]).sum(0).sqrt()
