"""Section 3.1: which statistics a trained network uses, and what hangs on them.

Algorithm 2, line 10: E[x] = E_B[μ_B] and Var[x] = m/(m−1) · E_B[σ²_B] over training mini-batches
of size m; line 11: y = γ/√(Var[x] + ε) · x + (β − γ E[x]/√(Var[x] + ε)).

Rows have a `part`: `accuracy` (one a network, statistics and stop), `moments` and `x_hat` (one a
network and layer), `company` and `spread` (batch-mates), `fold` and `enumeration`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bnrepro.config import ModelConfig, OptimConfig
from bnrepro.config.mechanisms import InferenceConfig
from bnrepro.config.validation import seed_list
from bnrepro.data import Dataset
from bnrepro.models.mlp import Slot, SlotMLP, Statistics, in_float64
from bnrepro.norm import normalize
from bnrepro.run.values import finite
from bnrepro.seeding import stream
from bnrepro.training.slots import SlotTrainer
from experiments.inference.folding import fold_rows

Row = dict[str, Any]


class Moments(NamedTuple):
    """A layer's statistics over many mini-batches of one size, (S, 1, C) each."""

    mean: Tensor  # E_B[μ_B]
    biased: Tensor  # E_B[σ²_B], σ² divided by m
    pooled: Tensor  # the variance over all examples of all mini-batches: the true one


@torch.no_grad()
def grouped(net: SlotMLP, x: Tensor, m: int) -> tuple[Tensor, list[Moments]]:
    """The training form of the network on many mini-batches side by side.

    Args:
        x: (G·m, inputs), shared by the slots; rows g·m to (g+1)·m − 1 are mini-batch g.

    Returns:
        Logits (S, G·m, classes) and each hidden layer's moments.
    """
    u, moments = x, []
    for name in net.hidden:
        wu = torch.matmul(u, net.params[f"{name}.weight"])
        x_hat, mean, var, _ = normalize(wu.unflatten(1, (-1, m)), (2,), net.eps)
        pooled = normalize(wu, (1,), net.eps).var
        moments.append(Moments(mean.mean(1), var.mean(1), pooled))
        gamma, beta = (net.params[f"{name}.{k}"] for k in ("gamma", "beta"))
        u = torch.sigmoid(torch.addcmul(beta, x_hat.flatten(1, 2), gamma))
    logits = torch.matmul(u, net.params["output.weight"]) + net.params["output.bias"]
    return logits, moments


def use_population(net: SlotMLP, moments: Sequence[Moments], factor: float) -> None:
    """Line 10 of Algorithm 2, with `factor` in place of m/(m−1)."""
    for name, layer in zip(net.hidden, moments, strict=True):
        net.population[f"{name}.mean"] = layer.mean
        net.population[f"{name}.var"] = factor * layer.biased


def network_rows(cfg: InferenceConfig, data: Dataset, m: int, device: torch.device) -> list[Row]:
    """Train every seed's network with mini-batches of m; all rows of that size."""
    trainer = new_trainer(cfg, data, m, device)
    rows: list[Row] = []
    training = trainer.run([examples // m for examples in cfg.stops])
    for examples, _ in zip(cfg.stops, training, strict=True):
        rows += [{"examples": examples, **row} for row in accuracy_rows(cfg, trainer, m)]
    moments = measured_moments(cfg, trainer, m)
    rows += moment_rows(trainer.net, moments, m)
    use_population(trainer.net, moments, m / (m - 1))
    rows += x_hat_rows(cfg, trainer)
    rows += company_rows(cfg, trainer, m)
    rows += spread_rows(cfg, trainer, m)
    rows += fold_rows(trainer.net, trainer.test_x[: cfg.timed_examples], cfg.timed_repetitions)
    seeds = [slot.seed for slot in trainer.slots]
    return [_row(m, row, seeds[row["seed"]]) for row in rows]


def _row(m: int, row: Row, seed: int) -> Row:
    """With the seed in place of the slot, and None for what is not finite."""
    numbers = {k: finite(v) if isinstance(v, float) else v for k, v in row.items()}
    return {"m": m, **numbers, "seed": seed}


def new_trainer(cfg: InferenceConfig, data: Dataset, m: int, device: torch.device) -> SlotTrainer:
    model = ModelConfig(
        hidden=cfg.hidden,
        activation="sigmoid",
        norm="batch",
        init="normal",
        init_std=cfg.init_std,
        eps=cfg.eps,
        bn_momentum=cfg.bn_momentum,
    )
    slots = [Slot(seed, cfg.lr, cfg.init_std) for seed in seed_list(cfg.seeds)]
    return SlotTrainer(model, OptimConfig(lr=cfg.lr, momentum=0.0, batch=m), slots, data, device)


def measured_moments(cfg: InferenceConfig, trainer: SlotTrainer, m: int) -> list[Moments]:
    """Moments over random mini-batches of training images, as Algorithm 2 draws them.

    The data's own order would not do: MNIST's neighbours share a writer.
    """
    chosen = random_order(len(trainer.x), cfg.population_examples, m, "population")
    return grouped(trainer.net, trainer.x[chosen.to(trainer.device)], m)[1]


def random_order(total: int, count: int, m: int, *names: object) -> Tensor:
    """Up to `count` of `total` indices in random order, whole mini-batches of m only.

    The same for every seed, whose networks are then compared on the same mini-batches.
    """
    order = torch.randperm(total, generator=stream(0, "inference", *names, m))
    return order[: min(count, total) // m * m]


def accuracy_rows(cfg: InferenceConfig, trainer: SlotTrainer, m: int) -> Iterator[Row]:
    """Test accuracy with each kind of statistics at the present step; `seed` is the slot."""
    moments = measured_moments(cfg, trainer, m)
    right = {"moving": trainer.accuracy("moving")[0]}
    for name, factor in (("population", m / (m - 1)), ("population_biased", 1.0)):
        use_population(trainer.net, moments, factor)
        right[name] = trainer.accuracy("population")[0]
    right["batch"] = batch_accuracy(trainer, m)
    for name, values in right.items():
        for slot, value in enumerate(values):
            row = {"part": "accuracy", "statistics": name, "seed": slot, "steps": trainer.step}
            yield {**row, "accuracy": float(value)}


def batch_accuracy(trainer: SlotTrainer, m: int) -> Tensor:
    """Accuracy (S,) on test mini-batches of m, normalised by themselves."""
    total = len(trainer.test_x)
    order = random_order(total, total, m, "test").to(trainer.device)
    logits, _ = grouped(trainer.net, trainer.test_x[order], m)
    return (logits.argmax(-1) == trainer.test_labels[order]).float().mean(1)


def moment_rows(net: SlotMLP, moments: Sequence[Moments], m: int) -> Iterator[Row]:
    """E_B[σ²_B] over the true variance, with and without m/(m−1); means over units."""
    for name, layer in zip(net.hidden, moments, strict=True):
        ratios = (layer.biased / layer.pooled).mean((1, 2))
        for slot, ratio in enumerate(ratios.tolist()):
            row = {"part": "moments", "layer": name, "seed": slot}
            yield {**row, "ratio_biased": ratio, "ratio_unbiased": ratio * m / (m - 1)}


def x_hat_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """Mean and variance of x̂ over training images with population statistics.

    Section 3.1 says that they are 0 and 1 as in training. The mean over units of |E[x̂]|.
    """
    chosen = random_order(len(trainer.x), cfg.population_examples, 1, "probe")
    layers = trainer.net.forward(trainer.x[chosen.to(trainer.device)], "population")[1]
    for name, layer in zip(trainer.net.hidden, layers, strict=True):
        assert layer.x_hat is not None
        moments = normalize(layer.x_hat, (1,), 0.0)
        means, variances = moments.mean.abs().mean((1, 2)), moments.var.mean((1, 2))
        for slot, (mean, var) in enumerate(zip(means.tolist(), variances.tolist(), strict=True)):
            row = {"part": "x_hat", "layer": name, "seed": slot}
            yield {**row, "x_hat_mean": mean, "x_hat_var": var}


def company_rows(cfg: InferenceConfig, trainer: SlotTrainer, m: int) -> Iterator[Row]:
    """Largest change of a logit when only the batch-mates change, float64.

    The first half of a mini-batch of m stays in place; the other half is drawn anew. With fixed
    statistics the first example is also given `alone`, which changes the matrix products' shape
    and so may change their rounding.
    """
    net, x = in_float64(trainer.net), trainer.test_x.double()
    half = m // 2
    kept, pool = x[:half], x[half:]
    orders = (
        torch.randperm(len(pool), generator=stream(0, "mates", m, i))[: m - half]
        for i in range(cfg.regroupings)
    )
    batches = [torch.cat([kept, pool[order.to(pool.device)]]) for order in orders]
    kinds: tuple[Statistics, ...] = ("moving", "population", "batch")
    for statistics in kinds:
        first, *others = (net.forward(batch, statistics)[0][:, :half] for batch in batches)
        change = torch.stack([(other - first).abs().amax((1, 2)) for other in others]).amax(0)
        alone: list[float | None] = [None] * len(change)
        if statistics != "batch":
            single = net.forward(kept[:1], statistics)[0]
            alone = (single - first[:, :1]).abs().amax((1, 2)).tolist()
        for slot, value in enumerate(change.tolist()):
            row = {"part": "company", "statistics": statistics, "seed": slot}
            yield {**row, "difference": value, "difference_alone": alone[slot]}


def spread_rows(cfg: InferenceConfig, trainer: SlotTrainer, m: int) -> Iterator[Row]:
    """How far an example's prediction depends on the division of the test set, batch statistics.

    `disagreement`: the probability that two random divisions give an example different labels;
    `deviation`: standard deviation over divisions of the probability of its true label.
    """
    count = min(cfg.company_examples, len(trainer.test_x)) // m * m
    labels = trainer.test_labels[:count]
    votes, truths = [], []
    for repeat in range(cfg.regroupings):
        order = random_order(count, count, m, "division", repeat).to(trainer.device)
        p = torch.empty(len(trainer.slots), count, trainer.net.params["output.bias"].shape[-1])
        p = p.to(trainer.device)
        p[:, order] = torch.softmax(grouped(trainer.net, trainer.test_x[order], m)[0], -1)
        votes.append(torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]))
        truths.append(p.gather(-1, labels.view(1, -1, 1).expand(len(p), -1, 1)).squeeze(-1))
    n, tally = cfg.regroupings, torch.stack(votes).sum(0).float()
    agreement = (tally * (tally - 1)).sum(-1) / (n * (n - 1))
    deviation = torch.stack(truths).std(0).mean(1)
    for slot, disagreement in enumerate((1 - agreement).mean(1).tolist()):
        row = {"part": "spread", "seed": slot, "disagreement": disagreement}
        yield {**row, "deviation": deviation[slot].item()}


def enumeration_rows(cfg: InferenceConfig) -> list[Row]:
    """Every mini-batch of m that can be drawn with replacement from a few values, float64.

    The average of σ²_B over all of them is exactly (m−1)/m times the variance of the values.
    """
    rows = []
    for seed in seed_list(cfg.seeds):
        values = torch.randn(
            cfg.enumerated_values, generator=stream(seed, "enumeration"), dtype=torch.float64
        )
        true = normalize(values, (0,), 0.0).var
        for m in cfg.enumerated_batches:
            batches = torch.cartesian_prod(*[values] * m)  # (K^m, m)
            ratio = float(normalize(batches, (1,), 0.0).var.mean() / true)
            row = {"part": "enumeration", "m": m, "seed": seed, "ratio_biased": ratio}
            rows.append({**row, "ratio_unbiased": ratio * m / (m - 1)})
    return rows
