"""Section 3.1: which statistics a trained network uses at inference, and what depends on them.

Algorithm 2, line 10: E[x] = E_B[μ_B] and Var[x] = m/(m−1) · E_B[σ²_B] over training mini-batches
of size m; line 11: y = γ/√(Var[x] + ε) · x + (β − γ E[x]/√(Var[x] + ε)).

Rows have a `part`: `accuracy` (one a network, statistics and stop), `moments` and `x_hat` (one a
network and layer), `company` and `spread` (what batch-mates change), `fold` and `enumeration`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bnrepro.config.schema import seed_list
from bnrepro.data import Dataset
from bnrepro.errors import UserError
from bnrepro.evidence.tables import Row
from bnrepro.models.mlp import HiddenLayer, SlotMLP, in_float64
from bnrepro.models.transforms import BatchTransform, Statistics
from bnrepro.norm import normalize
from bnrepro.run.cells import Cell, run_cells
from bnrepro.run.values import finite
from bnrepro.seeding import stream
from bnrepro.training.probes import divided_logits
from bnrepro.training.slot_rows import by_slot, sweep_trainer
from bnrepro.training.slots import SlotTrainer
from experiments.inference import InferenceConfig
from experiments.inference.folding import fold_rows


class Moments(NamedTuple):
    """A layer's statistics over many mini-batches of one size, (S, 1, C) each."""

    mean: Tensor  # E_B[μ_B]
    biased: Tensor  # E_B[σ²_B], σ² divided by m
    pooled: Tensor  # the variance over all examples of all mini-batches: the true one


def run(cfg: InferenceConfig) -> None:
    """Measure every cell and leave one record."""
    run_cells(cfg, cells(cfg))


def cells(cfg: InferenceConfig) -> list[Cell]:
    """The enumeration, which needs no network, then networks of each mini-batch size."""
    networks = (partial(network_rows, m=m) for m in cfg.batches)
    return [lambda cfg, data, device: enumeration_rows(cfg), *networks]


def network_rows(
    cfg: InferenceConfig, data: Dataset, device: torch.device, m: int
) -> Iterator[Row]:
    """Train every seed's network; all rows of its mini-batch size."""
    yield from ({"m": m, **row} for row in trained_rows(cfg, new_trainer(cfg, data, m, device)))


def trained_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """Accuracies during training, then everything that is measured at its end."""
    m = trainer.optim.batch
    for examples in cfg.stops:
        list(trainer.run([examples // m]))
        yield from ({"examples": examples, **row} for row in accuracy_rows(cfg, trainer))
    moments = measured_moments(cfg, trainer)
    yield from moment_rows(trainer, moments)
    use_population(trainer.net, moments, m / (m - 1))
    for rows in (x_hat_rows, mate_rows, spread_rows, fold_rows):
        yield from rows(cfg, trainer)


def new_trainer(cfg: InferenceConfig, data: Dataset, m: int, device: torch.device) -> SlotTrainer:
    """Sigmoid networks with BN, one a seed, to be trained with mini-batches of m.

    Raises a UserError where the test set has no mini-batch of m.
    """
    if m > len(data.test_images):
        raise UserError(f"batches: {m}: {data.name} has only {len(data.test_images)} test images")
    transform = BatchTransform(cfg.eps, cfg.bn_momentum)
    return sweep_trainer(cfg, data, device, transform, [cfg.lr], batch=m)


def slot_rows(
    trainer: SlotTrainer, part: str, columns: Mapping[str, Tensor], **key: object
) -> Iterator[Row]:
    """A row a slot: its seed, the key, and the slot's number of each column (S,)."""
    for slot, numbers in by_slot(trainer, columns, finite):
        yield {"part": part, "seed": slot.seed, **key, **numbers}


# --- statistics of many mini-batches -------------------------------------------------------------


def forward_batches(
    cfg: InferenceConfig, trainer: SlotTrainer, x: Tensor
) -> tuple[Tensor, list[HiddenLayer]]:
    """The training form of the networks on G mini-batches side by side.

    Rows g·m to (g+1)·m − 1 of x (G·m, inputs) are mini-batch g; statistics are (S, G, 1, C).
    """
    transform = BatchTransform(cfg.eps, group=trainer.optim.batch)
    return trainer.net.with_transform(transform).forward(x)


def random_order(total: int, count: int, m: int, *names: object) -> Tensor:
    """Up to `count` of `total` indices in random order, whole mini-batches of m only.

    The same for every seed, whose networks are then compared on the same mini-batches.
    """
    order = torch.randperm(total, generator=stream(0, "inference", *names, m))
    return order[: min(count, total) // m * m]


def measured_moments(cfg: InferenceConfig, trainer: SlotTrainer) -> list[Moments]:
    """Moments over random mini-batches of training images, as Algorithm 2 draws them.

    The data's order would not do: MNIST's neighbours share a writer.
    """
    m, total = trainer.optim.batch, len(trainer.x)
    chosen = random_order(total, cfg.population_examples, m, "population").to(trainer.device)
    return [
        Moments(
            layer.state.mean.mean(1), layer.state.var.mean(1), normalize(layer.x, (1,), cfg.eps).var
        )
        for layer in forward_batches(cfg, trainer, trainer.x[chosen])[1]
    ]


def use_population(net: SlotMLP, moments: Sequence[Moments], factor: float) -> None:
    """Line 10 of Algorithm 2, with `factor` in place of m/(m−1)."""
    for name, layer in zip(net.hidden, moments, strict=True):
        net.population[f"{name}.mean"] = layer.mean
        net.population[f"{name}.var"] = factor * layer.biased


def moment_rows(trainer: SlotTrainer, moments: Sequence[Moments]) -> Iterator[Row]:
    """E_B[σ²_B] over the true variance, with and without m/(m−1); means over units."""
    m = trainer.optim.batch
    for name, layer in zip(trainer.net.hidden, moments, strict=True):
        ratios = (layer.biased / layer.pooled).mean((1, 2)).double()
        columns = {"ratio_biased": ratios, "ratio_unbiased": ratios * m / (m - 1)}
        yield from slot_rows(trainer, "moments", columns, layer=name)


def x_hat_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """Mean and variance of x̂ over training images with population statistics.

    Section 3.1 says that they are 0 and 1 as in training. The mean over units of |E[x̂]|.
    """
    chosen = random_order(len(trainer.x), cfg.population_examples, 1, "probe")
    layers = trainer.net.forward(trainer.x[chosen.to(trainer.device)], "population")[1]
    for name, layer in zip(trainer.net.hidden, layers, strict=True):
        found = normalize(layer.state.x_hat, (1,), 0.0)
        columns = {"x_hat_mean": found.mean.abs().mean((1, 2)), "x_hat_var": found.var.mean((1, 2))}
        yield from slot_rows(trainer, "x_hat", columns, layer=name)


# --- accuracy and batch-mates --------------------------------------------------------------------


def accuracy_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """Test accuracy with each kind of statistics at the present step."""
    m, moments = trainer.optim.batch, measured_moments(cfg, trainer)
    right = {"moving": trainer.accuracy("moving")[0]}
    for name, factor in (("population", m / (m - 1)), ("population_biased", 1.0)):
        use_population(trainer.net, moments, factor)
        right[name] = trainer.accuracy("population")[0]
    right["batch"] = batch_accuracy(cfg, trainer)
    for name, accuracy in right.items():
        key = {"statistics": name, "step": trainer.step}
        yield from slot_rows(trainer, "accuracy", {"accuracy": accuracy}, **key)


def batch_accuracy(cfg: InferenceConfig, trainer: SlotTrainer) -> Tensor:
    """Accuracy (S,) on test mini-batches of m, normalised by themselves."""
    total = len(trainer.test_x)
    order = random_order(total, total, trainer.optim.batch, "test").to(trainer.device)
    logits, _ = forward_batches(cfg, trainer, trainer.test_x[order])
    return (logits.argmax(-1) == trainer.test_labels[order]).float().mean(1)


def mate_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """Largest change of a logit when only the batch-mates change, float64.

    The first half of a mini-batch of m stays in place; the other half is drawn anew. With fixed
    statistics the first example is also given `alone`, which changes the matrix products' shape
    and so may change their rounding.
    """
    net, x, m = in_float64(trainer.net), trainer.test_x.double(), trainer.optim.batch
    kept, pool = x[: m // 2], x[m // 2 :]
    orders = (
        torch.randperm(len(pool), generator=stream(0, "mates", m, i))[: m - len(kept)]
        for i in range(cfg.regroupings)
    )
    batches = [torch.cat([kept, pool[order.to(pool.device)]]) for order in orders]
    kinds: tuple[Statistics, ...] = ("moving", "population", "batch")
    for statistics in kinds:
        first, *others = (net.forward(batch, statistics)[0][:, : len(kept)] for batch in batches)
        change = torch.stack([(other - first).abs().amax((1, 2)) for other in others]).amax(0)
        alone = torch.full_like(change, torch.nan)
        if statistics != "batch":
            alone = (net.forward(kept[:1], statistics)[0] - first[:, :1]).abs().amax((1, 2))
        columns = {"difference": change, "difference_alone": alone}
        yield from slot_rows(trainer, "company", columns, statistics=statistics)


def spread_rows(cfg: InferenceConfig, trainer: SlotTrainer) -> Iterator[Row]:
    """How far an example's prediction depends on the division of the test set, batch statistics.

    `disagreement`: the probability that two random divisions give an example different labels;
    `deviation`: standard deviation over divisions of the probability of its true label.
    """
    n, m = cfg.regroupings, trainer.optim.batch
    count = min(cfg.company_examples, len(trainer.test_x)) // m * m
    labels, examples = trainer.test_labels[:count], torch.arange(count)
    net = trainer.net.with_transform(BatchTransform(cfg.eps, group=m))
    orders = (random_order(count, count, m, "division", i).to(trainer.device) for i in range(n))
    votes, truths = [], []
    for logits in divided_logits(net, trainer.test_x[:count], orders):
        p = torch.softmax(logits, -1)
        votes.append(F.one_hot(p.argmax(-1), p.shape[-1]))
        truths.append(p[:, examples, labels])
    tally = torch.stack(votes).sum(0).float()
    agreement = (tally * (tally - 1)).sum(-1) / (n * (n - 1))
    columns = {
        "disagreement": (1 - agreement).mean(1),
        "deviation": torch.stack(truths).std(0).mean(1),
    }
    yield from slot_rows(trainer, "spread", columns)


# --- a population whose mini-batches can all be written out --------------------------------------


def enumeration_rows(cfg: InferenceConfig) -> Iterator[Row]:
    """Every mini-batch of m that can be drawn with replacement from a few values, float64.

    The average of σ²_B over all of them is exactly (m−1)/m times the variance of the values.
    """
    for seed in seed_list(cfg.seeds):
        generator = stream(seed, "enumeration")
        values = torch.randn(cfg.enumerated_values, generator=generator, dtype=torch.float64)
        true = normalize(values, (0,), 0.0).var
        for m in cfg.enumerated_batches:
            batches = torch.cartesian_prod(*[values] * m)  # (K^m, m)
            ratio = float(normalize(batches, (1,), 0.0).var.mean() / true)
            row = {"part": "enumeration", "m": m, "seed": seed, "ratio_biased": ratio}
            yield {**row, "ratio_unbiased": ratio * m / (m - 1)}
