"""The training loop of Section 4.2: one network on a source of images.

    trainer = ImageTrainer(cfg, seed, data, device)
    for losses in trainer.run(stops):      # yields at the steps where something is to be recorded
        ...

The arms differ in their configs alone: no line here belongs to one of them.
"""

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from bnrepro.config.images import ImageConfig
from bnrepro.config.schema import steps_of_grid
from bnrepro.data import Dataset, ImageSet
from bnrepro.data.images import ImageSource, open_source
from bnrepro.data.memory import CHUNK
from bnrepro.errors import UserError
from bnrepro.models.inception import Inception, InceptionSpec
from bnrepro.models.inception_init import initialise
from bnrepro.run import processes
from bnrepro.seeding import derived, stream
from bnrepro.training.acceleration import GraphedUpdate, Update, compiled, graphed, precision
from bnrepro.training.replicas import Replicas

STEP = 32  # examples of a step: durations and records count in the paper's mini-batches


def update_size(cfg: ImageConfig) -> int:
    """Examples of one update, those of all processes together."""
    return cfg.optim.batch * cfg.processes


def in_updates(cfg: ImageConfig, steps: float) -> int:
    """How many updates it takes to see as many examples as in that many steps."""
    return math.ceil(steps * STEP / update_size(cfg))


def in_steps(cfg: ImageConfig, updates: int) -> float:
    """The steps that have as many examples as that many updates; whole numbers as integers."""
    steps = updates * update_size(cfg) / STEP
    return int(steps) if steps.is_integer() else steps


def total_steps(cfg: ImageConfig) -> int:
    """The plain network trains T steps; a rate that falls faster is spent as much earlier."""
    speed = cfg.budget.fast if cfg.optim.decay == "fast" else 1.0
    return round(cfg.budget.steps / speed)


def updates_of_grid(cfg: ImageConfig, grid: Sequence[Sequence[int]]) -> list[int]:
    """The updates after which a grid's steps are reached, up to the last of the run."""
    return [in_updates(cfg, step) for step in steps_of_grid(grid, total_steps(cfg))]


def learning_rate(cfg: ImageConfig, step: float) -> float:
    """α_t = α_0 · share^(t / steps): exponential, `end_share` of its start when it is spent."""
    start = cfg.optim.lr * cfg.optim.multiplier
    return start * cfg.budget.end_share ** (step / total_steps(cfg))


def network_spec(cfg: ImageConfig, classes: int, channels: int, side: int) -> InceptionSpec:
    """The shape of the arm's network on images of so many classes, channels and pixels a side."""
    return InceptionSpec(classes, channels, side=side, sync_bn=cfg.sync_bn, **vars(cfg.model))


def build(cfg: ImageConfig, source: ImageSource, seed: int) -> Inception:
    """The arm's network with the seed's weights."""
    network = Inception(network_spec(cfg, source.num_classes, source.channels, source.side))
    initialise(network, seed)
    return network


def sgd(cfg: ImageConfig, network: nn.Module, fused: bool = False) -> torch.optim.SGD:
    """SGD with momentum; L2 acts on weights of convolutions and the classifier, not on γ, β, b."""
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    known = set(map(id, weights))
    others = [p for p in network.parameters() if id(p) not in known]
    decay = cfg.optim.weight_decay / cfg.optim.weight_decay_divisor
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    rate, momentum = learning_rate(cfg, 0), cfg.optim.momentum
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=fused)


def open_replicas(cfg: ImageConfig, parameters: Sequence[Tensor]) -> Replicas | None:
    """The replicas of asynchronous SGD; None where there is one. Raises a UserError beside DDP."""
    if cfg.optim.replicas == 1:
        return None
    if cfg.processes > 1:
        raise UserError(
            f"optim.replicas={cfg.optim.replicas} with {cfg.processes} processes: replicas take "
            "turns in one process; use one of the two"
        )
    return Replicas(parameters, cfg.optim.replicas, cfg.optim.warm_start)


def check_size(cfg: ImageConfig, data: ImageSet) -> None:
    """Raise a UserError for a part of a streamed set, or for more examples than there are."""
    there, wanted = len(data.train_labels), cfg.pictures.examples
    parts = {"pictures.examples": wanted, "eval.train_examples": cfg.eval.train_examples}
    for key, count in parts.items():
        if count and not isinstance(data, Dataset):
            raise UserError(f"{key}={count}: {data.name} is streamed; use data.stream=false")
    if wanted is not None and wanted > there:
        raise UserError(f"pictures.examples={wanted}: {data.name} has {there} training examples")
    if update_size(cfg) > (wanted or there):
        chosen = "" if wanted is None else f" (pictures.examples={wanted})"
        raise UserError(
            f"optim.batch={cfg.optim.batch}, processes={cfg.processes}: the data set "
            f"{data.name} has only {wanted or there} training examples{chosen}"
        )


class ImageTrainer:
    """One network, its optimiser and its place in the data.

    `step` counts updates, each of `update_size` examples; `paper_step` the paper's steps of 32.
    """

    def __init__(self, cfg: ImageConfig, seed: int, data: ImageSet, device: torch.device) -> None:
        check_size(cfg, data)
        self.cfg, self.seed, self.device = cfg, seed, device
        self.key = derived(seed, cfg.draws)  # of all that is random
        self.labels = data.train_labels
        rank = processes.rank()
        self.source = open_source(
            data, cfg.pictures, cfg.optim.batch, self.key, device, rank, cfg.processes
        )
        network = build(cfg, self.source, self.key).to(device)
        network.class_names = data.names()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model = processes.parallel(self.network, lambda: self.source.probe_images(2))
        self.model = compiled(model) if cfg.compile else model  # what an update goes through
        self.optimiser = sgd(cfg, self.network, fused=device.type == "cuda")
        self.parameters = list(self.network.parameters())
        self.replicas = open_replicas(cfg, self.parameters)
        self.rate = torch.zeros((), device=device) if graphed(cfg, device) else None
        plain = self._update
        self.update: Update = plain if self.rate is None else GraphedUpdate(plain, self._turn)
        self.step, self.seconds = 0, 0.0
        self.first_non_finite: int | None = None  # the update whose loss was not
        self._replica = (rank,) if rank else ()  # replicas drop units of their own

    @property
    def paper_step(self) -> float:
        """Where the run stands in steps of 32 examples."""
        return in_steps(self.cfg, self.step)

    @property
    def non_finite_step(self) -> float | None:
        """The paper's step by which the run lost its finite numbers."""
        bad = self.first_non_finite
        return None if bad is None else in_steps(self.cfg, bad)

    @property
    def active(self) -> list[int]:
        """Slot 0 while the network is finite: what loops over many slots expect."""
        return [0] if self.first_non_finite is None else []

    def run(self, stops: Sequence[int]) -> Iterator[Tensor]:
        """Train to each of the updates in turn; yield the mean training loss since the last, over
        all processes."""
        self.network.train()
        for stop in stops:
            if stop <= self.step or not self.active:
                continue
            start, before = time.perf_counter(), self.step
            losses = torch.stack([self._train_step() for _ in range(stop - before)])
            losses = processes.averaged(losses).cpu()
            self.source.broken.update(processes.united(self.source.broken))
            self._mark_divergence(losses, before)
            self.seconds += time.perf_counter() - start
            yield losses.mean()
            self.network.train()

    def _train_step(self) -> Tensor:
        x, labels = self.source.batch(self.step)
        dropout = stream(self.key, "dropout", self.step, *self._replica)
        torch.manual_seed(dropout.initial_seed())
        rate = learning_rate(self.cfg, self.paper_step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate if self.rate is None else self.rate.fill_(rate)
        loss = self.update(x, labels)
        self.step += 1
        return loss

    def _update(self, x: Tensor, labels: Tensor) -> Tensor:
        with self._fetched():
            with precision(self.cfg, self.device):
                logits = self.model(centred(x))
            loss = nn.functional.cross_entropy(logits.float(), labels)
            loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.replicas is not None:
            self.replicas.fetch(self.step)
        return loss.detach()

    def _turn(self) -> tuple[int, bool, bool] | None:
        """Which parameters this update reads and writes: those of the replica whose turn it is."""
        return None if self.replicas is None else self.replicas.turn(self.step)

    def _fetched(self) -> contextlib.AbstractContextManager[None]:
        """The parameters at which this update's gradient is taken."""
        if self.replicas is None:
            return contextlib.nullcontext()
        return self.replicas.fetched(self.parameters, self.step)

    def _mark_divergence(self, losses: Tensor, before: int) -> None:
        """Keep the first update whose loss, the mean over all processes, is not finite."""
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            self.first_non_finite = before + int(bad[0]) + 1

    def non_finite_share(self) -> float:
        """Share of the parameters that are not finite numbers."""
        bad = [(~p.isfinite()).sum() for p in self.network.parameters()]
        return float(sum(bad)) / sum(p.numel() for p in self.network.parameters())

    @torch.no_grad()
    def evaluate(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Accuracy and mean loss on the first `count` test images (None: all), moving averages."""
        return self._evaluate(self.source.test_batches(count))

    @torch.no_grad()
    def training_accuracy(self, count: int) -> float:
        """Accuracy on the first `count` training images, undistorted, as `evaluate` measures it."""
        count = min(count, self.source.train_size)
        images, labels = self.source.probe_images(count), self.labels[:count].to(self.device)
        chunks = zip(images.split(CHUNK), labels.split(CHUNK), strict=True)
        return float(self._evaluate(chunks)[0])

    def _evaluate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        self.network.eval()
        right, loss = (torch.zeros((), device=self.device) for _ in range(2))
        seen = 0
        for x, labels in batches:
            with precision(self.cfg, self.device):
                logits = self.network(centred(x)).float()
            right += (logits.argmax(1) == labels).sum()
            loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
            seen += len(labels)
        return right / seen, loss / seen

    def probe_images(self) -> Tensor:
        """The fixed training images on which activation inputs are measured, as the network sees
        them at inference."""
        return centred(self.source.probe_images(self.cfg.eval.probe_examples))

    def state_dict(self) -> dict[str, Any]:
        """All the next step depends on; every random stream is keyed by seed and step or epoch."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "spec": asdict(self.network.spec),
            "class_names": self.network.class_names,
            "optimiser": self.optimiser.state_dict(),
            "bad_step": self.first_non_finite or 0,
            "broken": sorted(self.source.broken),
            "replicas": None if self.replicas is None else self.replicas.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group["fused"] = self.device.type == "cuda"  # the checkpoint may come from elsewhere
        if self.replicas is not None:
            self.replicas.load_state_dict(state["replicas"])
        self.source.broken.update(state.get("broken", ()))
        self.first_non_finite = int(state["bad_step"]) or None


def centred(x: Tensor) -> Tensor:
    """[0, 1] to [−1, 1]; the paper gives no input normalisation."""
    return 2 * x - 1
