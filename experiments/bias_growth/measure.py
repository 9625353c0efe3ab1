"""Section 2: a gradient step that takes the normalisation for constant.

A layer adds a learned bias b to its input u and subtracts the mean over the data: x = u + b,
x̂ = x − E[x]. A gradient step that ignores that E[x] depends on b gives Δb ∝ −Σ ∂ℓ/∂x̂, after which
x̂ is what it was: the loss stays and b grows. `exact_rows` measures that in float64, on one layer
and all the data; `training_rows` trains all parameters of many networks on mini-batches, with the
statistics constant in the backward pass.

There is no γ and no β, as in Section 2: with the gradient through the statistics and scaling on,
`NormalizedMLP` is BN with γ = 1, β = 0, and the gradient is all that differs between the arms.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from bnrepro.config import ModelConfig, OptimConfig
from bnrepro.config.mechanisms import BiasGrowthConfig
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.models.mlp import HiddenLayer, Slot, SlotMLP, Statistics, initial_weight
from bnrepro.norm import normalize, normalize_backward
from bnrepro.run.values import number
from bnrepro.training.slots import SlotTrainer

Row = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    transform: str  # centre: x − E[x]; scale: (x − E[x])/√(Var[x] + ε)
    gradient: str  # through: of the statistics too; outside: they are constants
    every: int = 1  # steps between refreshes of the statistics


@dataclass(frozen=True)
class ExactCell:
    seed: int
    arm: Arm
    above: bool  # whether the layer above is trained too


@dataclass(frozen=True)
class TrainingCell:
    activation: str
    arm: Arm


THROUGH = [Arm("scale", "through"), Arm("centre", "through")]


def cells(cfg: BiasGrowthConfig) -> list[ExactCell | TrainingCell]:
    exact = [*THROUGH, Arm("scale", "outside"), Arm("centre", "outside")]
    result: list[ExactCell | TrainingCell] = []
    for seed in seed_list(cfg.seeds):
        result += [ExactCell(seed, arm, above=False) for arm in exact]
        result.append(ExactCell(seed, Arm("centre", "outside"), above=True))
    outside = [Arm(t, "outside", every) for t in ("centre", "scale") for every in cfg.every]
    arms = [*THROUGH, *outside]
    return result + [TrainingCell(act, arm) for act in cfg.activations for arm in arms]


def settings(cfg: BiasGrowthConfig, activation: str) -> ModelConfig:
    """The network of Section 4.1; `batch` because all arms normalise their hidden layers."""
    return ModelConfig(cfg.hidden, activation, "batch", "normal", cfg.init_std, cfg.eps, 0.1)


# --- exact: one layer, all the data, float64 ---------------------------------------------------


def exact_rows(cfg: BiasGrowthConfig, data: Dataset, cell: ExactCell) -> list[Row]:
    """Full-batch gradient steps on b, with u = Wu₀ of fixed W, a sigmoid and a fixed softmax above.

    A row every `exact_record_every` steps: `bias` RMS of b over units after t steps; `drive`
    max |Σ ∂ℓ/∂x̂|; `step_ratio` the largest |Δb| relative to the largest first step of a gradient
    outside the statistics; `step_deviation`, `output_deviation` and `loss_deviation` are changes
    since the first step, relative.
    """
    model = settings(cfg, "sigmoid")
    u, labels = layer_input(model, data, cell.seed, cfg.exact_examples)
    top = initial_weight(model, Slot(cell.seed, 0, cfg.init_std), "output", u.shape[1], 10).double()
    params = [torch.zeros(1, u.shape[1]), top, torch.zeros(1, 10)]
    params = [p.double().requires_grad_() for p in params]
    rows: list[Row] = []
    first: dict[str, Tensor] = {}
    for t in range(1, cfg.exact_steps + 1):
        now = gradient_step(params, u, labels, cell, cfg)
        first = first or now
        if t == 1 or t % cfg.exact_record_every == 0:
            rows.append({**describe(cell), "t": t, **compare(now, first)})
    return rows


def layer_input(
    model: ModelConfig, data: Dataset, seed: int, examples: int
) -> tuple[Tensor, Tensor]:
    """u (N, units): what the first hidden layer's initial weights make of N images; labels (N,)."""
    x = binarize(data.train_images[:examples]).double()
    slot = Slot(seed, 0, model.init_std)
    weight = initial_weight(model, slot, "hidden1", x.shape[1], model.hidden[0])
    return x @ weight.double(), data.train_labels[:examples]


def gradient_step(
    params: Sequence[Tensor], u: Tensor, labels: Tensor, cell: ExactCell, cfg: BiasGrowthConfig
) -> dict[str, Tensor]:
    """One step on b (and, with `above`, on the softmax layer); what there was before it."""
    bias, weight, shift = params
    x = u + bias
    stats = normalize(x if cell.arm.gradient == "through" else x.detach(), (0,), cfg.eps)
    s = stats.inv_std if cell.arm.transform == "scale" else torch.ones_like(stats.inv_std)
    x_hat = (x - stats.mean) * s
    x_hat.retain_grad()
    loss = F.cross_entropy(torch.sigmoid(x_hat) @ weight + shift, labels)
    trained = list(params) if cell.above else [bias]
    drive, *grads = torch.autograd.grad(loss, [x_hat, *trained])
    with torch.no_grad():
        for parameter, grad in zip(trained, grads, strict=True):
            parameter -= cfg.exact_lr * grad
    total = drive.sum(0, keepdim=True)
    outside = -cfg.exact_lr * total * s.detach()  # the step that ignores the statistics
    now = {"step": -cfg.exact_lr * grads[0], "outside": outside, "drive": total}
    return now | {"bias": bias.detach().clone(), "x_hat": x_hat.detach(), "loss": loss.detach()}


def compare(now: dict[str, Tensor], first: dict[str, Tensor]) -> Row:
    """A step's measurements, relative to the first step's."""
    size = first["outside"].abs().max()
    change = (now["x_hat"] - first["x_hat"]).abs().max() / first["x_hat"].abs().max()
    values = {
        "bias": now["bias"].square().mean().sqrt(),
        "drive": now["drive"].abs().max(),
        "loss": now["loss"],
        "step_ratio": now["step"].abs().max() / size,
        "step_deviation": (now["step"] - first["step"]).abs().max() / size,
        "output_deviation": change,
        "loss_deviation": (now["loss"] / first["loss"] - 1).abs(),
    }
    return {key: number(value) for key, value in values.items()}


def describe(cell: ExactCell) -> Row:
    arm = {"transform": cell.arm.transform, "gradient": cell.arm.gradient}
    return {"part": "exact", "seed": cell.seed, **arm, "above": cell.above}


# --- training: all parameters, mini-batches ----------------------------------------------------


class NormalizedMLP(SlotMLP):
    """Hidden layers g(x̂), x = Wu + b, that normalise by an arm's transform and gradient.

    The statistics are those of the mini-batch of the steps 0, `every`, 2·`every`, …, held until
    the next refresh; `every` is 1 with the gradient through them, as in Algorithm 1.
    """

    def __init__(self, arm: Arm, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arm, self.step = arm, 0
        self.held: dict[str, tuple[Tensor, Tensor, Tensor]] = {}  # E[x], Var[x], factor of x − E[x]
        for name in self.hidden:
            del self.params[f"{name}.gamma"]
            self.params[f"{name}.bias"] = self.params.pop(f"{name}.beta")

    def gradients(self, x: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        result = super().gradients(x, labels)
        self.step += 1
        return result

    def _hidden(self, name: str, u: Tensor, statistics: Statistics) -> HiddenLayer:
        x = self._affine(name, u)
        if self.step % self.arm.every == 0:
            stats = normalize(x, (1,), self.eps)
            scale = self.arm.transform == "scale"
            factor = stats.inv_std if scale else torch.ones_like(stats.inv_std)
            self.held[name] = stats.mean, stats.var, factor
        mean, var, factor = self.held[name]
        x_hat = (x - mean) * factor
        return HiddenLayer(u, x_hat, factor, mean, var, x_hat, self._activate(x_hat))

    def _norm_backward(
        self, name: str, layer: HiddenLayer, d: Tensor, grads: dict[str, Tensor]
    ) -> Tensor:
        dx = backward(self.arm, layer, d)
        grads[f"{name}.bias"] = dx.sum(1, keepdim=True)
        return dx

    def _update_moving(self, layers: list[HiddenLayer]) -> None:
        """These networks are never used for inference."""


def backward(arm: Arm, layer: HiddenLayer, d: Tensor) -> Tensor:
    """∂ℓ/∂x (S, N, units) from d = ∂ℓ/∂x̂.

    Outside: s ∂ℓ/∂x̂. Through: s (∂ℓ/∂x̂ − its mean − x̂ · mean(x̂ ∂ℓ/∂x̂)), without the last term
    for centring; s is 1/√(Var[x] + ε), or 1 for centring.
    """
    assert layer.x_hat is not None
    assert layer.inv_std is not None
    if arm.gradient == "outside":
        return d * layer.inv_std
    if arm.transform == "centre":
        return d - d.mean(1, keepdim=True)
    one = torch.ones_like(layer.inv_std)
    return normalize_backward(d, layer.x_hat, one, layer.inv_std, (1,))[0]


def training_rows(
    cfg: BiasGrowthConfig, data: Dataset, cell: TrainingCell, device: torch.device
) -> Iterator[Row]:
    """Train rates × seeds at once; a row a network and stop, on the last hidden layer.

    `bias` is the RMS of b over units, `drift` that of its change a step since the last stop divided
    by the rate (the mean of Σ ∂ℓ/∂x over those steps), `weight` ‖W‖, `std` the mean over units of
    √Var[x] at the last refresh, `loss` the mean training loss since the last stop.
    """
    model = settings(cfg, cell.activation)
    slots = [Slot(s, lr, cfg.init_std) for lr in cfg.lr for s in seed_list(cfg.seeds)]
    optim, network = OptimConfig(0.0, 0.0, cfg.batch), functools.partial(NormalizedMLP, cell.arm)
    trainer = SlotTrainer(model, optim, slots, data, device, network)
    net = cast(NormalizedMLP, trainer.net)
    last, before, step = net.hidden[-1], torch.zeros(1), 0
    for losses in trainer.run(cfg.stops):
        bias, weight = net.params[f"{last}.bias"], net.params[f"{last}.weight"]
        drift = (bias - before) / (trainer.step - step)
        values = {
            "loss": losses,
            "bias": bias.square().mean((1, 2)).sqrt(),
            "drift": drift.square().mean((1, 2)).sqrt(),
            "weight": torch.linalg.vector_norm(weight, dim=(1, 2)),
            "std": net.held[last][1].sqrt().mean((1, 2)),
        }
        for i, slot in enumerate(slots):
            row = {key: number(value[i]) for key, value in values.items()}
            if row["drift"] is not None:
                row["drift"] /= slot.lr
            yield {**label(cell), "seed": slot.seed, "lr": slot.lr, "t": trainer.step, **row}
        before, step = bias.clone(), trainer.step


def label(cell: TrainingCell) -> Row:
    arm = {"transform": cell.arm.transform, "gradient": cell.arm.gradient, "every": cell.arm.every}
    return {"part": "training", "activation": cell.activation, **arm}
