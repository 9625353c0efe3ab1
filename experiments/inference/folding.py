"""Algorithm 2, line 11, on trained networks: BN folded into the linear map before it."""

import statistics
import time
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import SlotMLP
from bnrepro.norm import BatchNorm, fold
from bnrepro.run.values import finite
from bnrepro.training.slots import SlotTrainer
from experiments.inference import InferenceConfig


def as_module(net: SlotMLP, slot: int, eps: float, dtype: torch.dtype) -> nn.Sequential:
    """One slot's network for inference, with its population statistics as running statistics."""
    layers: list[nn.Module] = []
    for name in net.hidden:
        linear = _linear(net.params[f"{name}.weight"][slot], None)
        norm = BatchNorm(linear.out_features, eps=eps)
        with torch.no_grad():
            norm.gamma.copy_(net.params[f"{name}.gamma"][slot, 0])
            norm.beta.copy_(net.params[f"{name}.beta"][slot, 0])
            norm.running_mean.copy_(net.population[f"{name}.mean"][slot, 0])
            norm.running_var.copy_(net.population[f"{name}.var"][slot, 0])
        layers += [linear, norm, nn.Sigmoid()]
    output = _linear(net.params["output.weight"][slot], net.params["output.bias"][slot, 0])
    device = net.params["output.weight"].device
    return nn.Sequential(*layers, output).to(device, dtype).eval()


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight.T)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def fold_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """Error, stored numbers and time of every network with and without folding.

    `error` is the largest change of a logit relative to the largest logit; times are medians of
    alternating passes in this run, in ms, so that their ratio means something.
    """
    x = trainer.test_x[: cfg.timed_examples]
    for i, slot in enumerate(trainer.slots):
        for dtype in (torch.float32, torch.float64):
            model = as_module(trainer.net, i, cfg.eps, dtype)
            folded = fold(model)
            error, plain_ms, folded_ms = _compare(model, folded, x.to(dtype), cfg.timed_repetitions)
            yield {
                "part": "fold",
                "seed": slot.seed,
                "dtype": str(dtype).removeprefix("torch."),
                "error": finite(error),
                "error_in_epsilons": finite(error / torch.finfo(dtype).eps),
                "numbers": stored_numbers(model),
                "numbers_folded": stored_numbers(folded),
                "time_ratio": finite(plain_ms / folded_ms),
                "folded_ms": finite(folded_ms),
            }


@torch.no_grad()
def _compare(
    model: nn.Module, folded: nn.Module, x: Tensor, repetitions: int
) -> tuple[float, float, float]:
    plain, other = model(x), folded(x)
    error = float((plain - other).abs().max() / plain.abs().max())
    times: dict[nn.Module, list[float]] = {model: [], folded: []}
    for _ in range(repetitions):
        for network, kept in times.items():
            start = time.perf_counter()
            cast(Tensor, network(x)).sum().item()  # waits for the device
            kept.append(1000 * (time.perf_counter() - start))
    return error, statistics.median(times[model]), statistics.median(times[folded])


def stored_numbers(model: nn.Module) -> int:
    """Parameters and statistics that inference needs; the counters of mini-batches are left out."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(t.numel() for t in tensors if t.is_floating_point())
