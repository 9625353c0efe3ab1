"""Section 2: full whitening of layer inputs against BN, centring, and nothing.

All normalising arms act in the same place, x = Wu ahead of a sigmoid, differentiate through the
statistics of the mini-batch, and have the γ and β of Algorithm 1; only the transform differs:

    centre   x̂ = x − E[x]
    bn       x̂ = (x − E[x]) / √(Var[x] + ε)
    whiten   x̂ = (Cov[x] + ridge · I)^(−1/2) (x − E[x])

For inference their statistics are those of fixed training images, passed through as one batch.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from bnrepro.config import ModelConfig, OptimConfig
from bnrepro.config.mechanisms import WhiteningConfig
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset, binarize, split_validation
from bnrepro.models.mlp import HiddenLayer, Slot, SlotMLP, Statistics, initial_weight
from bnrepro.norm import Normalized, normalize, normalize_backward
from bnrepro.norm.whitening import Whitened, whiten, whiten_backward
from bnrepro.run.values import number
from bnrepro.seeding import stream
from bnrepro.training.slots import SlotTrainer

Row = dict[str, Any]
ARMS = ("baseline", "centre", "bn", "whiten")


@dataclass(frozen=True)
class TrainingCell:
    batch: int
    arm: str
    ridge: float  # ε for bn; of no account for baseline and centre


@dataclass(frozen=True)
class SpectrumCell:
    batch: int


@dataclass(frozen=True)
class StepCostCell:
    """Seconds of a training step, all arms in turn."""


@dataclass(frozen=True)
class CostCell:
    width: int
    repeats: int


Cell = TrainingCell | SpectrumCell | StepCostCell | CostCell


def cells(cfg: WhiteningConfig) -> list[Cell]:
    result: list[Cell] = [SpectrumCell(cfg.small_batch), SpectrumCell(cfg.batch)]
    result += [TrainingCell(cfg.batch, arm, cfg.eps) for arm in ARMS]
    result += [TrainingCell(cfg.large_batch, arm, cfg.eps) for arm in ("bn", "whiten")]
    result += [TrainingCell(cfg.small_batch, arm, cfg.eps) for arm in ("baseline", "bn")]
    result += [TrainingCell(cfg.small_batch, "whiten", ridge) for ridge in cfg.ridges]
    larger = [ridge for ridge in cfg.ridges if ridge != cfg.eps]
    result += [TrainingCell(cfg.batch, "whiten", ridge) for ridge in larger]
    result.append(StepCostCell())
    sizes = zip(cfg.cost_widths, cfg.cost_repeats, strict=True)
    return result + [CostCell(width, repeats) for width, repeats in sizes]


def measure(cfg: WhiteningConfig, data: Dataset, cell: Cell, device: torch.device) -> list[Row]:
    """The rows of one cell."""
    if isinstance(cell, SpectrumCell):
        return [spectrum_row(cfg, data, cell.batch, seed) for seed in seed_list(cfg.seeds)]
    if isinstance(cell, TrainingCell):
        return tuned_rows(cfg, data, cell, device)
    if isinstance(cell, StepCostCell):
        return step_cost_rows(cfg, data, device)
    return cost_rows(cfg, cell, device)


# --- the network ---------------------------------------------------------------------------------


class TransformMLP(SlotMLP):
    """Hidden layers g(γ x̂ + β), x̂ an arm's transform of Wu; γ = 1 and β = 0 to begin with."""

    def __init__(self, arm: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arm = arm
        self.last: dict[str, Whitened | Normalized] = {}  # of the last forward pass on a batch

    def _hidden(self, name: str, u: Tensor, statistics: Statistics) -> HiddenLayer:
        x = torch.matmul(u, self.params[f"{name}.weight"])
        if statistics == "batch":
            self.last[name] = forward = transform(self.arm, x, self.eps)
            x_hat, mean = forward.x_hat, forward.mean
        else:
            mean, factor = self.population[f"{name}.mean"], self.population[f"{name}.factor"]
            x_hat = (x - mean) @ factor if self.arm == "whiten" else (x - mean) * factor
        a = torch.addcmul(self.params[f"{name}.beta"], x_hat, self.params[f"{name}.gamma"])
        return HiddenLayer(u, x_hat, None, mean, None, a, self._activate(a))

    def _norm_backward(
        self, name: str, layer: HiddenLayer, d: Tensor, grads: dict[str, Tensor]
    ) -> Tensor:
        assert layer.x_hat is not None
        grads[f"{name}.gamma"] = (d * layer.x_hat).sum(1, keepdim=True)
        grads[f"{name}.beta"] = d.sum(1, keepdim=True)
        return backward(self.arm, d * self.params[f"{name}.gamma"], self.last[name])

    def _update_moving(self, layers: list[HiddenLayer]) -> None:
        """Inference uses `freeze` instead."""

    def freeze(self, x: Tensor) -> None:
        """Take the statistics of inference from these images (N, inputs)."""
        self.forward(x, "batch")
        for name, forward in self.last.items():
            factor = forward.matrix if isinstance(forward, Whitened) else forward.inv_std
            self.population |= {f"{name}.mean": forward.mean, f"{name}.factor": factor}


def transform(arm: str, x: Tensor, eps: float) -> Whitened | Normalized:
    """x̂ of x (S, m, d) with what its backward pass needs."""
    if arm == "whiten":
        return whiten(x, eps)
    if arm == "bn":
        return normalize(x, (1,), eps)
    mean = x.mean(1, keepdim=True)
    return Normalized(x - mean, mean, torch.ones_like(mean), torch.ones_like(mean))


def backward(arm: str, dx_hat: Tensor, forward: Whitened | Normalized) -> Tensor:
    """∂ℓ/∂x from ∂ℓ/∂x̂, through the statistics."""
    if isinstance(forward, Whitened):
        return whiten_backward(dx_hat, forward)
    if arm == "centre":
        return dx_hat - dx_hat.mean(1, keepdim=True)
    one = torch.ones_like(forward.inv_std)
    return normalize_backward(dx_hat, forward.x_hat, one, forward.inv_std, (1,))[0]


def trainer(
    cfg: WhiteningConfig,
    cell: TrainingCell,
    slots: Sequence[Slot],
    data: Dataset,
    device: torch.device,
) -> SlotTrainer:
    norm = "none" if cell.arm == "baseline" else "batch"
    model = ModelConfig(cfg.hidden, "sigmoid", norm, "normal", cfg.init_std, cell.ridge, 0.1)
    network = SlotMLP if norm == "none" else functools.partial(TransformMLP, cell.arm)
    return SlotTrainer(model, OptimConfig(0.0, 0.0, cell.batch), slots, data, device, network)


# --- convergence ---------------------------------------------------------------------------------


def tuned_rows(
    cfg: WhiteningConfig, data: Dataset, cell: TrainingCell, device: torch.device
) -> list[Row]:
    """Every rate on held-out images and the tuning seed, then the best rate on the seeds.

    Best is the highest accuracy on the held-out images after all steps, of equals the lower rate.
    """
    held_out = split_validation(data, cfg.tuning_images)
    slots = [Slot(cfg.tuning_seed, lr, cfg.init_std) for lr in sorted(cfg.lr)]
    tuning = list(curve_rows(cfg, held_out, cell, slots, device, cfg.stops[-1:]))
    best = max(tuning, key=lambda row: -1.0 if row["accuracy"] is None else row["accuracy"])
    slots = [Slot(seed, best["lr"], cfg.init_std) for seed in seed_list(cfg.seeds)]
    curves = curve_rows(cfg, data, cell, slots, device, cfg.stops)
    return [{"part": "tuning", **r} for r in tuning] + [{"part": "training", **r} for r in curves]


def curve_rows(
    cfg: WhiteningConfig,
    data: Dataset,
    cell: TrainingCell,
    slots: Sequence[Slot],
    device: torch.device,
    stops: Sequence[int],
) -> Iterator[Row]:
    """A row a network and stop; a network that left the finite numbers has None from then on."""
    networks = trainer(cfg, cell, slots, data, device)
    key = {"batch": cell.batch, "arm": cell.arm, "ridge": cell.ridge}
    done = 0
    for losses in networks.run(stops):
        done = networks.step
        if isinstance(networks.net, TransformMLP):
            networks.net.freeze(networks.x[: cfg.population_examples])
        accuracy, test_loss = networks.accuracy("population")
        for i, slot in enumerate(slots):
            alive = i in networks.active
            yield {
                **key,
                "lr": slot.lr,
                "seed": slot.seed,
                "t": done,
                "accuracy": float(accuracy[i]) if alive else None,
                "test_loss": number(test_loss[i]) if alive else None,
                "loss": number(losses[i]),
            }
    for t in [s for s in stops if s > done]:  # all of them diverged: the loop has ended early
        lost = dict.fromkeys(("accuracy", "test_loss", "loss"))
        yield from ({**key, "lr": s.lr, "seed": s.seed, "t": t, **lost} for s in slots)


def spectrum_row(cfg: WhiteningConfig, data: Dataset, batch: int, seed: int) -> Row:
    """λ_min/λ_max of the covariance of Wu in one mini-batch, first layer as initialised, float64.

    m examples leave a covariance of rank m − 1 at most.
    """
    order = torch.randperm(len(data.train_images), generator=stream(seed, "order", 0))
    u = binarize(data.train_images[order[:batch]]).double()
    model = ModelConfig(cfg.hidden, "sigmoid", "none", "normal", cfg.init_std, cfg.eps, 0.1)
    slot = Slot(seed, 0, cfg.init_std)
    x = u @ initial_weight(model, slot, "hidden1", u.shape[1], cfg.hidden[0]).double()
    values = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / batch)
    ratio = float(values[0].abs() / values[-1])  # rounding may put a 0 below 0
    return {"part": "spectrum", "batch": batch, "seed": seed, "ratio": ratio}


# --- cost ----------------------------------------------------------------------------------------


def step_cost_rows(cfg: WhiteningConfig, data: Dataset, device: torch.device) -> list[Row]:
    """Seconds of one network's training step, the arms taking turns so that they share the load."""
    seed, lr = seed_list(cfg.seeds)[0], min(cfg.lr)
    slot = Slot(seed, lr, cfg.init_std)
    networks = {
        arm: trainer(cfg, TrainingCell(cfg.batch, arm, cfg.eps), [slot], data, device)
        for arm in ARMS
    }
    spent: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for turn in range(cfg.timed_stretches + 1):  # the first warms up
        for arm, network in networks.items():
            before = network.seconds
            list(network.run([(turn + 1) * cfg.timed_steps]))
            spent[arm].append((network.seconds - before) / cfg.timed_steps)
    key = {"part": "step_cost", "batch": cfg.batch}
    return [{**key, "arm": arm, "seconds": median(values[1:])} for arm, values in spent.items()]


def cost_rows(cfg: WhiteningConfig, cell: CostCell, device: torch.device) -> list[Row]:
    """Seconds of a transform of (m, d) inputs, forward and backward, arms in turn; medians."""
    generator = stream(0, "whitening", "cost", cell.width)
    x, d = (
        torch.randn(1, cfg.cost_examples, cell.width, generator=generator).to(device)
        for _ in range(2)
    )
    arms = ("centre", "bn", "whiten")
    spent: dict[str, list[tuple[float, float]]] = {arm: [] for arm in arms}
    for _ in range(cell.repeats):
        for arm in arms:
            spent[arm].append(timed_transform(arm, x, d, cfg.eps))
    rows = []
    for arm, pairs in spent.items():
        forward, back = (median(p[i] for p in pairs) for i in (0, 1))
        total = median(a + b for a, b in pairs)
        cost = {"forward": forward, "backward": back, "seconds": total}
        rows.append({"part": "cost", "width": cell.width, "arm": arm, **cost})
    return rows


def timed_transform(arm: str, x: Tensor, d: Tensor, eps: float) -> tuple[float, float]:
    forward, first = clock(lambda: transform(arm, x, eps), x.device)
    _, second = clock(lambda: backward(arm, d, forward), x.device)
    return first, second


def clock(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """The result of some work and its seconds, all kernels finished."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    start = time.perf_counter()
    result = work()
    wait()
    return result, time.perf_counter() - start
