"""The training loop of Section 4.2: one network on images held on the training device.

    trainer = ImageTrainer(cfg, seed, data, device)
    for losses in trainer.run(stops):      # yields at the steps where something is to be recorded
        ...

The arms differ in their configs alone: no line here belongs to one of them.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bnrepro.data import Dataset
from bnrepro.data.augment import Augmentation, Draws, augment, draw
from bnrepro.data.order import epoch_batches
from bnrepro.errors import UserError
from bnrepro.inception_config import InceptionConfig
from bnrepro.models.inception import Inception, InceptionSpec, initialise
from bnrepro.seeding import stream

CHUNK = 500  # images a forward pass when evaluating


def total_steps(cfg: InceptionConfig) -> int:
    """The plain network trains T steps; a rate that falls faster is spent as much earlier."""
    speed = cfg.budget.fast if cfg.optim.decay == "fast" else 1.0
    return round(cfg.budget.steps / speed)


def learning_rate(cfg: InceptionConfig, step: int) -> float:
    """α_t = α_0 · share^(t / steps): exponential, `end_share` of its start when it is spent."""
    start = cfg.optim.lr * cfg.optim.multiplier
    return start * cfg.budget.end_share ** (step / total_steps(cfg))


def build(cfg: InceptionConfig, data: Dataset, seed: int) -> Inception:
    """The arm's network with the seed's weights."""
    shape = data.train_images.shape
    channels = shape[1] if len(shape) == 4 else 1
    spec = InceptionSpec(
        classes=data.num_classes,
        channels=channels,
        **{name: getattr(cfg.model, name) for name in cfg.model.__dataclass_fields__},
    )
    network = Inception(spec)
    initialise(network, seed)
    return network


def sgd(cfg: InceptionConfig, network: nn.Module) -> torch.optim.SGD:
    """SGD with momentum; L2 acts on weights of convolutions and the classifier, not on γ, β, b."""
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() == 1]
    decay = cfg.optim.weight_decay / cfg.optim.weight_decay_divisor
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=learning_rate(cfg, 0), momentum=cfg.optim.momentum)


class ImageTrainer:
    """One network, its optimiser and its place in the data."""

    def __init__(
        self, cfg: InceptionConfig, seed: int, data: Dataset, device: torch.device
    ) -> None:
        if cfg.optim.batch > len(data.train_images):
            raise UserError(
                f"optim.batch={cfg.optim.batch}: the data set {data.name} has only "
                f"{len(data.train_images)} training examples"
            )
        self.cfg, self.seed, self.device, self.data = cfg, seed, device, data
        self.images, self.labels = _on(device, data.train_images), data.train_labels.to(device)
        self.test_images, self.test_labels = (
            _on(device, data.test_images), data.test_labels.to(device),
        )  # fmt: skip
        p = cfg.pictures
        self.augmentation = Augmentation(p.shift, p.mirror, p.photometric)
        network = build(cfg, data, seed).to(device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = sgd(cfg, self.network)
        self.step, self.seconds = 0, 0.0
        self.first_non_finite: int | None = None
        self._bad_step = torch.zeros((), dtype=torch.int64, device=device)
        self._epoch, self._order, self._draws = -1, torch.empty(0), draw(self.augmentation, 0, 0, 0)

    @property
    def active(self) -> list[int]:
        """Slot 0 while the network is finite: what loops over many slots expect."""
        return [0] if self.first_non_finite is None else []

    def run(self, stops: Sequence[int]) -> Iterator[Tensor]:
        """Train to each of the steps in turn; yield the mean training loss since the last."""
        self.network.train()
        for stop in stops:
            if stop <= self.step or not self.active:
                continue
            start = time.perf_counter()
            losses = torch.stack([self._train_step() for _ in range(stop - self.step)])
            self.first_non_finite = int(self._bad_step) or None
            self.seconds += time.perf_counter() - start
            yield losses.mean()
            self.network.train()

    def _train_step(self) -> Tensor:
        index, draws = self._batch()
        torch.manual_seed(stream(self.seed, "dropout", self.step).initial_seed())
        x = augment(_scaled(self.images[index]), draws, index, self.augmentation)
        x = x.contiguous(memory_format=torch.channels_last)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.cfg, self.step)
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.network(_centred(x)), self.labels[index])
        loss.backward()
        self.optimiser.step()
        self.step += 1
        self._latch(loss.detach())
        return loss.detach()

    def _latch(self, loss: Tensor) -> None:
        """Keep the first step whose loss is not finite, without waiting for the device."""
        bad = ~loss.isfinite() & (self._bad_step == 0)
        self._bad_step += bad * self.step

    def non_finite_share(self) -> float:
        """Share of the parameters that are not finite numbers."""
        bad = [(~p.isfinite()).sum() for p in self.network.parameters()]
        return float(sum(bad)) / sum(p.numel() for p in self.network.parameters())

    def _batch(self) -> tuple[Tensor, Draws]:
        size, p = len(self.images), self.cfg.pictures
        epoch, place = divmod(self.step, size // self.cfg.optim.batch)
        if epoch != self._epoch:
            order = epoch_batches(p.shuffle, self.seed, epoch, size, self.cfg.optim.batch, p.shards)
            self._order = order.to(self.device)
            self._draws = draw(self.augmentation, self.seed, epoch, size).to(self.device)
            self._epoch = epoch
        return self._order[place], self._draws

    @torch.no_grad()
    def evaluate(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Accuracy and mean loss on the first `count` test images (None: all), moving averages."""
        self.network.eval()
        images, labels = self.test_images[:count], self.test_labels[:count]
        right, loss = (torch.zeros((), device=self.device) for _ in range(2))
        for x, y in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
            logits = self.network(_centred(_scaled(x)))
            right += (logits.argmax(1) == y).sum()
            loss += nn.functional.cross_entropy(logits, y, reduction="sum")
        return right / len(images), loss / len(images)

    def probe_images(self) -> Tensor:
        """The fixed training images on which activation inputs are measured, as the network sees
        them at inference."""
        return _centred(_scaled(self.images[: self.cfg.eval.probe_examples]))

    def state_dict(self) -> dict[str, Any]:
        """All the next step depends on; every random stream is keyed by seed and step or epoch."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "bad_step": self._bad_step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._bad_step.copy_(state["bad_step"])
        self.first_non_finite = int(self._bad_step) or None


def _on(device: torch.device, images: Tensor) -> Tensor:
    """uint8 images (N, C, H, W) on the device; grey ones get their channel."""
    return (images if images.dim() == 4 else images.unsqueeze(1)).to(device)


def _scaled(images: Tensor) -> Tensor:
    return images.float() / 255


def _centred(x: Tensor) -> Tensor:
    """[0, 1] to [−1, 1]; the paper gives no input normalisation."""
    return 2 * x - 1
