"""Seconds: of a training step of each arm, and of each transform by the width of the layer."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.norm import Normalized, normalize, normalize_backward
from bnrepro.norm.whitening import whiten, whiten_backward
from bnrepro.seeding import stream
from bnrepro.training.slot_rows import sweep_trainer
from experiments.whitening import WhiteningConfig
from experiments.whitening.transforms import ARMS, centre, centre_backward, transform_of


class Passes(NamedTuple):
    """x̂ of x (S, m, d) with what the backward pass needs, and ∂ℓ/∂x of ∂ℓ/∂x̂ and that."""

    forward: Callable[[Tensor], Any]
    backward: Callable[[Tensor, Any], Tensor]


def transform_passes(eps: float) -> dict[str, Passes]:
    """The transforms without γ and β, by arm; `eps` is also the ridge of whitening."""
    return {
        "centre": Passes(centre, centre_backward),
        "bn": Passes(lambda x: normalize(x, (1,), eps), _normalize_backward),
        "whiten": Passes(lambda x: whiten(x, eps), whiten_backward),
    }


def _normalize_backward(dx_hat: Tensor, forward: Normalized) -> Tensor:
    one = torch.ones_like(forward.inv_std)
    return normalize_backward(dx_hat, forward.x_hat, one, forward.inv_std, (1,))[0]


def step_cost_rows(cfg: WhiteningConfig, data: Dataset, device: torch.device) -> list[Row]:
    """Seconds of one network's training step, the arms taking turns so that they share the load."""
    seeds, rates = seed_list(cfg.seeds)[:1], [min(cfg.lr)]
    trainers = {
        arm: sweep_trainer(cfg, data, device, transform_of(arm, cfg.eps), rates, seeds=seeds)
        for arm in ARMS
    }
    spent: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for turn in range(cfg.timed_stretches + 1):  # the first warms up
        for arm, trainer in trainers.items():
            before = trainer.seconds
            list(trainer.run([(turn + 1) * cfg.timed_steps]))
            spent[arm].append((trainer.seconds - before) / cfg.timed_steps)
    key = {"part": "step_cost", "batch": cfg.batch}
    return [{**key, "arm": arm, "seconds": median(values[1:])} for arm, values in spent.items()]


def cost_rows(
    cfg: WhiteningConfig, data: Dataset, device: torch.device, width: int, repeats: int
) -> list[Row]:
    """Seconds of a transform of (m, d) inputs, forward and backward, arms in turn; medians."""
    generator = stream(0, "whitening", "cost", width)
    shape = (1, cfg.cost_examples, width)
    x, d = (torch.randn(shape, generator=generator).to(device) for _ in range(2))
    passes = transform_passes(cfg.eps)
    spent: dict[str, list[tuple[float, float]]] = {arm: [] for arm in passes}
    for _ in range(repeats):
        for arm, each in passes.items():
            spent[arm].append(time_passes(each, x, d))
    rows = []
    for arm, pairs in spent.items():
        forward, backward = (median(pair[i] for pair in pairs) for i in (0, 1))
        cost = {"forward": forward, "backward": backward, "seconds": median(map(sum, pairs))}
        rows.append({"part": "cost", "width": width, "arm": arm, **cost})
    return rows


def time_passes(passes: Passes, x: Tensor, d: Tensor) -> tuple[float, float]:
    """Seconds of the forward and of the backward pass."""
    state, forward = clock(lambda: passes.forward(x), x.device)
    _, backward = clock(lambda: passes.backward(d, state), x.device)
    return forward, backward


def clock(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """The result of some work and its seconds, all kernels finished."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    start = time.perf_counter()
    result = work()
    wait()
    return result, time.perf_counter() - start
