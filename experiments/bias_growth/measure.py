"""Section 2: a gradient step that takes the normalisation for constant.

A layer adds a learned bias b to its input u and subtracts the mean over the data: x = u + b,
x̂ = x − E[x]. A gradient step that ignores that E[x] depends on b gives Δb ∝ −Σ ∂ℓ/∂x̂, after which
x̂ is what it was: the loss stays and b grows. `exact_rows` measures that in float64, on one layer
and all the data; `training_rows` trains all parameters of many networks on mini-batches, with the
statistics constant in the backward pass.

There is no γ and no β, as in Section 2: with the gradient through the statistics and scaling on,
`Normalisation` is BN with γ = 1, β = 0, and the gradient is all that differs between the arms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from bnrepro.config.schema import ModelConfig, seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import Slot, initial_weight
from bnrepro.norm import normalize
from bnrepro.run.cells import Cell, run_cells
from bnrepro.run.values import number
from bnrepro.training.slot_rows import by_slot, first_layer, sweep_trainer
from experiments.bias_growth import BiasGrowthConfig
from experiments.bias_growth.transforms import Arm, Normalisation

THROUGH = [Arm("scale", "through"), Arm("centre", "through")]


def run(cfg: BiasGrowthConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg))


def cells(cfg: BiasGrowthConfig) -> list[Cell]:
    """The exact part for each seed and arm, then the networks for each activation and arm."""
    exact = [*THROUGH, Arm("scale", "outside"), Arm("centre", "outside")]
    result: list[Cell] = []
    for seed in seed_list(cfg.seeds):
        result += [partial(exact_rows, seed=seed, arm=arm) for arm in exact]
        result.append(partial(exact_rows, seed=seed, arm=exact[-1], above=True))
    outside = [Arm(t, "outside", every) for t in ("centre", "scale") for every in cfg.every]
    networks = product(cfg.activations, [*THROUGH, *outside])
    return result + [partial(training_rows, activation=a, arm=arm) for a, arm in networks]


# --- exact: one layer, all the data, float64 -----------------------------------------------------


def exact_rows(
    cfg: BiasGrowthConfig, data: Dataset, device: torch.device, seed: int, arm: Arm,
    above: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """Full-batch gradient steps on b, with u = Wu₀ of fixed W, a sigmoid and a fixed softmax above.

    With `above` the softmax layer is trained too. A row every `exact_record_every` steps: `bias`
    RMS of b over units after that many steps; `drive` max |Σ ∂ℓ/∂x̂|; `step_ratio` the largest |Δb|
    relative to the largest first step of a gradient outside the statistics; `step_deviation`,
    `output_deviation` and `loss_deviation` are changes since the first step, relative.
    """
    u, labels = layer_input(cfg, data, seed)
    params = [torch.zeros(1, u.shape[1]), top_weight(cfg, seed), torch.zeros(1, 10)]
    params = [p.double().requires_grad_() for p in params]
    key = {"part": "exact", "seed": seed, "transform": arm.transform, "gradient": arm.gradient}
    first: dict[str, Tensor] = {}
    for step in range(1, cfg.exact_steps + 1):
        now = gradient_step(params, u, labels, arm, params if above else params[:1], cfg)
        first = first or now
        if step == 1 or step % cfg.exact_record_every == 0:
            yield {**key, "above": above, "step": step, **compare(now, first)}


def layer_input(cfg: BiasGrowthConfig, data: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """u (N, units): what the first hidden layer's initial weights make of N images; labels (N,)."""
    count = cfg.exact_examples
    u, weight = first_layer(cfg, data.train_images[:count], seed, cfg.hidden[0])
    return u @ weight, data.train_labels[:count]


def top_weight(cfg: BiasGrowthConfig, seed: int) -> Tensor:
    """The initial weights (units, 10) of the softmax layer above."""
    slot = Slot(seed, 0, cfg.init_std)
    return initial_weight(ModelConfig(init="normal"), slot, "output", cfg.hidden[0], 10)


def gradient_step(
    params: Sequence[Tensor], u: Tensor, labels: Tensor, arm: Arm, trained: Sequence[Tensor],
    cfg: BiasGrowthConfig,
) -> dict[str, Tensor]:  # fmt: skip
    """One step on the trained parameters, b first; what there was before it."""
    bias, weight, shift = params
    x = u + bias
    stats = normalize(x if arm.gradient == "through" else x.detach(), (0,), cfg.eps)
    s = stats.inv_std if arm.transform == "scale" else torch.ones_like(stats.inv_std)
    x_hat = (x - stats.mean) * s
    x_hat.retain_grad()
    loss = F.cross_entropy(torch.sigmoid(x_hat) @ weight + shift, labels)
    drive, *grads = torch.autograd.grad(loss, [x_hat, *trained])
    with torch.no_grad():
        for parameter, grad in zip(trained, grads, strict=True):
            parameter -= cfg.exact_lr * grad
    total = drive.sum(0, keepdim=True)
    outside = -cfg.exact_lr * total * s.detach()  # the change that ignores the statistics
    now = {"change": -cfg.exact_lr * grads[0], "outside": outside, "drive": total}
    return now | {"bias": bias.detach().clone(), "x_hat": x_hat.detach(), "loss": loss.detach()}


def compare(now: dict[str, Tensor], first: dict[str, Tensor]) -> Row:
    """A step's measurements, relative to the first step's."""
    size = first["outside"].abs().max()
    moved = (now["x_hat"] - first["x_hat"]).abs().max() / first["x_hat"].abs().max()
    values = {
        "bias": now["bias"].square().mean().sqrt(),
        "drive": now["drive"].abs().max(),
        "loss": now["loss"],
        "step_ratio": now["change"].abs().max() / size,
        "step_deviation": (now["change"] - first["change"]).abs().max() / size,
        "output_deviation": moved,
        "loss_deviation": (now["loss"] / first["loss"] - 1).abs(),
    }
    return {key: number(value) for key, value in values.items()}


# --- training: all parameters, mini-batches ------------------------------------------------------


def training_rows(
    cfg: BiasGrowthConfig, data: Dataset, device: torch.device, activation: str, arm: Arm
) -> Iterator[Row]:
    """Train rates × seeds at once; a row a network and stop, on the last hidden layer.

    `bias` is the RMS of b over units, `drift` that of its change a step since the last stop divided
    by the rate (the mean of Σ ∂ℓ/∂x over those steps), `weight` ‖W‖, `std` the mean over units of
    √Var[x] at the last refresh, `loss` the mean training loss since the last stop.
    """
    transform = Normalisation(arm, cfg.eps)
    trainer = sweep_trainer(cfg, data, device, transform, cfg.lr, activation=activation)
    params, last = trainer.net.params, trainer.net.hidden[-1]
    before, step = params[f"{last}.bias"].clone(), 0
    for losses in trainer.run(cfg.stops):
        bias, weight = params[f"{last}.bias"], params[f"{last}.weight"]
        drift = (bias - before) / (trainer.step - step)
        columns = {
            "loss": losses,
            "bias": bias.square().mean((1, 2)).sqrt(),
            "drift": drift.square().mean((1, 2)).sqrt(),
            "weight": torch.linalg.vector_norm(weight, dim=(1, 2)),
            "std": transform.held[last].var.sqrt().mean((1, 2)),
        }
        for slot, row in by_slot(trainer, columns):
            if row["drift"] is not None:
                row["drift"] /= slot.lr
            key = {"part": "training", "activation": activation, **asdict(arm)}
            yield {**key, "seed": slot.seed, "lr": slot.lr, "step": trainer.step, **row}
        before, step = bias.clone(), trainer.step
