"""Section 2: a gradient step that takes the normalisation for constant.

A layer adds a learned bias b to its input u and subtracts the mean over the data: x = u + b,
x̂ = x − E[x]. A gradient step that ignores that E[x] depends on b gives Δb ∝ −Σ ∂ℓ/∂x̂, after which
x̂ is what it was: the loss stays and b grows. `exact_rows` measures that in float64, on one layer
and all the data; `training_rows` trains all parameters of many networks on mini-batches, with the
statistics constant in the backward pass.

There is no γ and no β, as in Section 2: with the gradient through the statistics and scaling on,
`Normalisation` is BN with γ = 1, β = 0, and the gradient is all that differs between the arms.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bnrepro.config.schema import ModelConfig, OptimConfig, seed_list
from bnrepro.data import Dataset, binarize
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import Slot, initial_weight
from bnrepro.norm import normalize
from bnrepro.run.cells import run_cells
from bnrepro.run.values import number
from bnrepro.training.slots import SlotTrainer
from experiments.bias_growth import BiasGrowthConfig
from experiments.bias_growth.transforms import Arm, Normalisation

THROUGH = [Arm("scale", "through"), Arm("centre", "through")]


@dataclass(frozen=True)
class ExactCell:
    """Full-batch steps on one layer's bias."""

    seed: int
    arm: Arm
    above: bool  # whether the layer above is trained too


@dataclass(frozen=True)
class TrainingCell:
    """Networks of all rates and seeds, all parameters trained."""

    activation: str
    arm: Arm


Cell = ExactCell | TrainingCell


def run(cfg: BiasGrowthConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg), measure)


def cells(cfg: BiasGrowthConfig) -> list[Cell]:
    """The exact part for each seed and arm, then the networks for each activation and arm."""
    exact = [*THROUGH, Arm("scale", "outside"), Arm("centre", "outside")]
    result: list[Cell] = []
    for seed in seed_list(cfg.seeds):
        result += [ExactCell(seed, arm, above=False) for arm in exact]
        result.append(ExactCell(seed, Arm("centre", "outside"), above=True))
    outside = [Arm(t, "outside", every) for t in ("centre", "scale") for every in cfg.every]
    arms = [*THROUGH, *outside]
    return result + [TrainingCell(act, arm) for act in cfg.activations for arm in arms]


def measure(
    cfg: BiasGrowthConfig, data: Dataset, cell: Cell, device: torch.device
) -> Iterable[Row]:
    """The rows of one cell."""
    if isinstance(cell, ExactCell):
        return exact_rows(cfg, data, cell)
    return training_rows(cfg, data, cell, device)


def network_config(cfg: BiasGrowthConfig, activation: str) -> ModelConfig:
    """The network of Section 4.1; its normalisation is a cell's arm."""
    return ModelConfig(cfg.hidden, activation, "none", "normal", cfg.init_std, cfg.eps, 0.1)


# --- exact: one layer, all the data, float64 -----------------------------------------------------


def exact_rows(cfg: BiasGrowthConfig, data: Dataset, cell: ExactCell) -> Iterator[Row]:
    """Full-batch gradient steps on b, with u = Wu₀ of fixed W, a sigmoid and a fixed softmax above.

    A row every `exact_record_every` steps: `bias` RMS of b over units after that many steps;
    `drive` max |Σ ∂ℓ/∂x̂|; `step_ratio` the largest |Δb| relative to the largest first step of a
    gradient outside the statistics; `step_deviation`, `output_deviation` and `loss_deviation` are
    changes since the first step, relative.
    """
    model = network_config(cfg, "sigmoid")
    u, labels = layer_input(model, data, cell.seed, cfg.exact_examples)
    top = initial_weight(model, Slot(cell.seed, 0, cfg.init_std), "output", u.shape[1], 10).double()
    params = [torch.zeros(1, u.shape[1]), top, torch.zeros(1, 10)]
    params = [p.double().requires_grad_() for p in params]
    key = {"part": "exact", "seed": cell.seed, "transform": cell.arm.transform}
    key |= {"gradient": cell.arm.gradient, "above": cell.above}
    first: dict[str, Tensor] = {}
    for step in range(1, cfg.exact_steps + 1):
        now = gradient_step(params, u, labels, cell, cfg)
        first = first or now
        if step == 1 or step % cfg.exact_record_every == 0:
            yield {**key, "step": step, **compare(now, first)}


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
    cfg: BiasGrowthConfig, data: Dataset, cell: TrainingCell, device: torch.device
) -> Iterator[Row]:
    """Train rates × seeds at once; a row a network and stop, on the last hidden layer.

    `bias` is the RMS of b over units, `drift` that of its change a step since the last stop divided
    by the rate (the mean of Σ ∂ℓ/∂x over those steps), `weight` ‖W‖, `std` the mean over units of
    √Var[x] at the last refresh, `loss` the mean training loss since the last stop.
    """
    slots = [Slot(s, lr, cfg.init_std) for lr in cfg.lr for s in seed_list(cfg.seeds)]
    model, optim = network_config(cfg, cell.activation), OptimConfig(0.0, 0.0, cfg.batch)
    transform = Normalisation(cell.arm, cfg.eps)
    trainer = SlotTrainer(model, optim, slots, data, device, transform)
    params, last = trainer.net.params, trainer.net.hidden[-1]
    key = {"part": "training", "activation": cell.activation, **asdict(cell.arm)}
    before, step = params[f"{last}.bias"].clone(), 0
    for losses in trainer.run(cfg.stops):
        bias, weight = params[f"{last}.bias"], params[f"{last}.weight"]
        drift = (bias - before) / (trainer.step - step)
        values = {
            "loss": losses,
            "bias": bias.square().mean((1, 2)).sqrt(),
            "drift": drift.square().mean((1, 2)).sqrt(),
            "weight": torch.linalg.vector_norm(weight, dim=(1, 2)),
            "std": transform.held[last].var.sqrt().mean((1, 2)),
        }
        for i, slot in enumerate(slots):
            row = {name: number(value[i]) for name, value in values.items()}
            if row["drift"] is not None:
                row["drift"] /= slot.lr
            yield {**key, "seed": slot.seed, "lr": slot.lr, "step": trainer.step, **row}
        before, step = bias.clone(), trainer.step
