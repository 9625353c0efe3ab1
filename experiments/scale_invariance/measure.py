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
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev

from bnrepro.config import ModelConfig, OptimConfig
from bnrepro.config.mechanisms import ScaleInvarianceConfig
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.models.mlp import Slot, SlotMLP, initial_weight
from bnrepro.norm import normalize
from bnrepro.run.values import number
from bnrepro.training.slots import SlotTrainer

Row = dict[str, Any]
Layer = Callable[[Tensor, Tensor], Tensor]  # (u, W) -> (m, units)


@dataclass(frozen=True)
class ExactCell:
    seed: int
    eps: float | None  # None: the plain layer, without BN


def cells(cfg: ScaleInvarianceConfig) -> list[ExactCell | str]:
    exact = [ExactCell(s, eps) for s in seed_list(cfg.seeds) for eps in [*cfg.exact_eps, None]]
    return [*exact, "baseline", "bn"]


# --- exact: one layer in float64 ---------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """A layer's output, all derivatives of it, and norms behind the sigmoid that follows."""

    output: Tensor  # (m, units), BN(Wu), or Wu without BN
    by_input: Tensor  # (m, units, m, inputs), ∂output/∂u
    by_weight: Tensor  # (m, units, inputs, units), ∂output/∂W
    flow: float  # ‖∂z/∂u‖, z = sigmoid(output)
    pull: float  # ‖∂z/∂W‖


def measure(layer: Layer, u: Tensor, weight: Tensor) -> Measured:
    output = layer(u, weight)
    by_input, by_weight = jacrev(layer, argnums=(0, 1))(u, weight)
    z = torch.sigmoid(output)
    slope = (z * (1 - z))[..., None, None]  # of the sigmoid, entry by entry
    norms = (float((slope * d).norm()) for d in (by_input, by_weight))
    return Measured(output, by_input, by_weight, *norms)


def normalized(eps: float) -> Layer:
    return lambda u, weight: normalize(u @ weight, (0,), eps).x_hat


def plain(u: Tensor, weight: Tensor) -> Tensor:
    return u @ weight


def exact_rows(cfg: ScaleInvarianceConfig, data: Dataset, cell: ExactCell) -> list[Row]:
    """A row for each a: how far the layer with weights aW is from the one with W.

    `output_error`, `jacobian_error` and `gradient_error` are relative to the equations of ε = 0,
    `prediction_error` (with BN) to those of ε/a², the largest of the three; `flow` and `pull` are
    norms behind the sigmoid relative to those at a = 1.
    """
    u, weight = layer(cfg, data, cell.seed)
    function = plain if cell.eps is None else normalized(cell.eps)
    reference = measure(function, u, weight)
    rows = []
    for a in [sign * size for size in cfg.exact_scales for sign in (1, -1)]:
        scaled = measure(function, u, a * weight)
        output, jacobian, gradient = errors(scaled, reference, a)
        row = {"part": "exact", "seed": cell.seed, "eps": cell.eps, "a": a}
        row |= {"output_error": output, "jacobian_error": jacobian, "gradient_error": gradient}
        row |= {"flow": scaled.flow / reference.flow, "pull": scaled.pull / reference.pull}
        if cell.eps is not None:
            predicted = measure(normalized(cell.eps / a**2), u, weight)
            row["prediction_error"] = max(errors(scaled, predicted, a))
        rows.append(row)
    return rows


def layer(cfg: ScaleInvarianceConfig, data: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """A mini-batch u (m, inputs) and initial weights W (inputs, units) of the first layer."""
    u = binarize(data.train_images[: cfg.exact_examples]).double()
    model, slot = settings(cfg, "batch"), Slot(seed, 0, cfg.init_std)
    return u, initial_weight(model, slot, "hidden1", u.shape[1], cfg.exact_units).double()


def errors(scaled: Measured, reference: Measured, a: float) -> tuple[float, float, float]:
    """Relative distance of output, ∂/∂u and ∂/∂(aW) from sign(a)·(output, ∂/∂u, (1/a) ∂/∂W).

    ∂/∂(aW) carries the sign of the output and 1/a: together 1/|a|.
    """
    sign = math.copysign(1, a)
    return (
        relative(scaled.output, sign * reference.output),
        relative(scaled.by_input, sign * reference.by_input),
        relative(scaled.by_weight, reference.by_weight / abs(a)),
    )


def relative(value: Tensor, target: Tensor) -> float:
    return float((value - target).norm() / target.norm())


# --- training ------------------------------------------------------------------------------------


def settings(cfg: ScaleInvarianceConfig, norm: str) -> ModelConfig:
    """The network of Section 4.1."""
    return ModelConfig(cfg.hidden, "sigmoid", norm, "normal", cfg.init_std, cfg.eps, 0.1)


def training_rows(
    cfg: ScaleInvarianceConfig, data: Dataset, arm: str, device: torch.device
) -> Iterator[Row]:
    """Train rates × seeds at once; a row a network and stop, all hidden layers together.

    `weight` ‖W‖; `gradient` ‖∂ℓ/∂W‖ on a fixed probe of ten mini-batches in one; `relative_step`
    lr ‖∂ℓ/∂W‖/‖W‖; `effective_rate` lr/‖W‖²; `cosine` between W and ∂ℓ/∂W; `gradient_ratio` the
    factor by which the gradient changes when the hidden weights are multiplied by `probe_scale`;
    `loss` the mean training loss since the last stop.
    """
    model = settings(cfg, "batch" if arm == "bn" else "none")
    slots = [Slot(s, lr, cfg.init_std) for lr in cfg.lr for s in seed_list(cfg.seeds)]
    trainer = SlotTrainer(model, OptimConfig(0.0, 0.0, cfg.batch), slots, data, device)
    count = min(10 * cfg.batch, len(trainer.x))
    x = trainer.x[:count].expand(len(slots), -1, -1)
    labels = trainer.labels[:count].expand(len(slots), -1)
    for losses in trainer.run(cfg.stops):
        values = {"loss": losses, **probe(trainer.net, x, labels, trainer.lr.flatten(), cfg)}
        for i, slot in enumerate(slots):
            row = {key: number(value[i]) for key, value in values.items()}
            key = {"part": "training", "arm": arm, "seed": slot.seed, "lr": slot.lr}
            yield {**key, "probe_scale": cfg.probe_scale, "t": trainer.step, **row}


def probe(
    net: SlotMLP, x: Tensor, labels: Tensor, lr: Tensor, cfg: ScaleInvarianceConfig
) -> dict[str, Tensor]:
    """Norms of the hidden weights and their gradients on a probe batch, (S,) each.

    The network is left as it was.
    """
    keys = [f"{name}.weight" for name in net.hidden]
    moving = {key: value.clone() for key, value in net.moving.items()}
    grads = net.gradients(x, labels)[1]
    for key in keys:
        net.params[key] *= cfg.probe_scale
    scaled = net.gradients(x, labels)[1]
    for key in keys:
        net.params[key] /= cfg.probe_scale
    net.moving = moving
    weight, gradient = total(net.params, keys), total(grads, keys)
    inner = torch.stack([(net.params[k] * grads[k]).sum((1, 2)) for k in keys]).sum(0)
    return {
        "weight": weight,
        "gradient": gradient,
        "relative_step": lr * gradient / weight,
        "effective_rate": lr / weight.square(),
        "cosine": inner / (weight * gradient),
        "gradient_ratio": total(scaled, keys) / gradient,
    }


def total(tensors: dict[str, Tensor], keys: list[str]) -> Tensor:
    """The norm (S,) of several layers' tensors taken together."""
    return torch.stack([tensors[key].square().sum((1, 2)) for key in keys]).sum(0).sqrt()
