"""The training loop of Section 4.1: SGD on many small networks at once.

    trainer = SlotTrainer(model, optim, slots, data, device)
    for losses in trainer.run(stops):    # yields at the steps where something is to be recorded
        ...

A slot's mini-batches depend on its seed alone. A slot whose loss leaves the finite numbers is
frozen and marked with the step; its neighbours go on.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bnrepro.config.schema import ModelConfig, OptimConfig
from bnrepro.data import Dataset, binarize
from bnrepro.data.order import batches_of_seeds
from bnrepro.errors import UserError
from bnrepro.models.lit import IMAGES_A_BLOCK, LitImages, LitSet, lit
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.models.transforms import Statistics, Transform
from bnrepro.seeding import stream
from bnrepro.training.replicas import Replicas

EVALUATION_CHUNK = 2000  # test images a forward pass: bounds memory
ADAGRAD_EPS = 1e-10  # outside the root; PyTorch's


class SlotTrainer:
    """S networks, their optimiser state and their place in the data.

    `transform` is what normalises their hidden layers; None: what `model.norm` says.
    """

    def __init__(
        self,
        model: ModelConfig,
        optim: OptimConfig,
        slots: Sequence[Slot],
        data: Dataset,
        device: torch.device,
        transform: Transform | None = None,
    ) -> None:
        if optim.batch > len(data.train_images):
            raise UserError(
                f"optim.batch={optim.batch}: the data set {data.name} has only "
                f"{len(data.train_images)} training examples"
            )
        self.slots, self.optim, self.device = list(slots), optim, device
        self.x = binarize(data.train_images).to(device)
        self.x_bytes = self.x.to(torch.uint8)  # a quarter to gather mini-batches from
        self.labels = data.train_labels.to(device)
        self.test_x = binarize(data.test_images).to(device)
        self.test_labels = data.test_labels.to(device)
        self.net = SlotMLP(
            model, slots, self.x.shape[1], data.num_classes, device, transform=transform
        )
        self.lr = self._column("lr")
        self.decay, self.dropout = self._column("weight_decay"), self._column("dropout")
        self.decays, self.drops = bool(self.decay.any()), bool(self.dropout.any())
        # of momentum; with Adagrad the sums of squared gradients
        self.velocity = {k: torch.zeros_like(v) for k, v in self.net.params.items()}
        self.grads: dict[str, Tensor] = {}
        self.replicas: Replicas | None = None
        if optim.replicas > 1:
            params = list(self.net.params.values())
            self.replicas = Replicas(params, optim.replicas, optim.warm_start)
        self.step = 0
        self.seconds = 0.0
        self.first_non_finite: list[int | None] = [None] * len(self.slots)
        self._epoch, self._order = -1, torch.empty(0)
        sparse = device.type == "cpu" and self.net.transform.place != "input"
        self.lit = LitSet(self.x) if sparse else None
        self._block: dict[int, LitImages] = {}  # by step: the next few mini-batches

    def _column(self, name: str) -> Tensor:
        """A setting of the slots as (S, 1, 1)."""
        values = [getattr(slot, name) for slot in self.slots]
        return torch.tensor(values, dtype=torch.float32, device=self.device).view(-1, 1, 1)

    @property
    def active(self) -> list[int]:
        """The slots that still train."""
        return [i for i, step in enumerate(self.first_non_finite) if step is None]

    @property
    def paper_step(self) -> int:
        """A step is an update."""
        return self.step

    def run(self, stops: Sequence[int]) -> Iterator[Tensor]:
        """Train to each of the steps in turn; yield the mean training loss since the last (S,)."""
        for stop in stops:
            if stop <= self.step or not self.active:
                continue
            start = time.perf_counter()
            first = self.step + 1
            losses = torch.stack([self._train_step() for _ in range(stop - self.step)])
            self._mark_divergence(losses.cpu(), first)
            self.seconds += time.perf_counter() - start
            yield losses.mean(0)

    def _train_step(self) -> Tensor:
        masks = self._masks() if self.drops else None
        with self._fetched():
            losses, self.grads = self.net.gradients(*self.examples(self.step), masks)
        for name, grad in self.grads.items():
            if self.decays and name.endswith(".weight"):
                grad = torch.addcmul(grad, self.net.params[name], self.decay)
            self.net.params[name].addcmul_(self._direction(name, grad), self.lr, value=-1)
        if self.replicas is not None:
            self.replicas.fetch(self.step)
        self.step += 1
        return losses

    def _direction(self, name: str, grad: Tensor) -> Tensor:
        """What the rate multiplies: the gradient, its momentum, or Adagrad's g / √(Σ g²)."""
        if self.optim.rule == "adagrad":
            total = self.velocity[name].addcmul_(grad, grad)
            return grad / (total.sqrt() + ADAGRAD_EPS)
        if self.optim.momentum:
            return self.velocity[name].mul_(self.optim.momentum).add_(grad)
        return grad

    def _fetched(self) -> contextlib.AbstractContextManager[None]:
        """The parameters at which this update's gradient is taken."""
        if self.replicas is None:
            return contextlib.nullcontext()
        return self.replicas.fetched(list(self.net.params.values()), self.step)

    def examples(self, step: int) -> tuple[Tensor | LitImages, Tensor]:
        """The mini-batches as training takes them: on a CPU images are the places of their ones."""
        if self.lit is None:
            return self.minibatch(step)
        labels = self.labels[self._batch(step)].view(len(self.slots), -1)
        if step not in self._block:
            place = step % self._order.shape[1]
            steps = max(1, IMAGES_A_BLOCK // labels.numel())
            block = self.lit.batches(self._order[:, place : place + steps])
            self._block = dict(enumerate(block, step))
        return self._block[step], labels

    def minibatch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (S, B, inputs) and labels (S, B) of the mini-batches that follow that step."""
        index = self._batch(step)
        shape = (len(self.slots), self.optim.batch)
        x, labels = (t.index_select(0, index) for t in (self.x_bytes, self.labels))
        return x.float().view(*shape, -1), labels.view(shape)

    def _masks(self) -> tuple[Tensor, ...]:
        """Dropout's factors of each hidden layer's outputs at the next step, 0 or 1/(1 − p).

        They are keyed by seed and step: slots of one seed share the uniform numbers.
        """
        widths = [self.net.params[f"{name}.weight"].shape[-1] for name in self.net.hidden]
        shape = (self.optim.batch, sum(widths))
        draws = {
            seed: torch.rand(shape, generator=stream(seed, "dropout", self.step))
            for seed in {slot.seed for slot in self.slots}
        }
        uniform = torch.stack([draws[slot.seed] for slot in self.slots]).to(self.device)
        return ((uniform >= self.dropout) / (1 - self.dropout)).split(widths, -1)

    def _batch(self, step: int) -> Tensor:
        """Indices (S·B,) of the step's mini-batches.

        An epoch is one permutation, keyed by seed and epoch; its last, incomplete mini-batch is
        dropped.
        """
        size, batch = len(self.x), self.optim.batch
        epoch, place = divmod(step, size // batch)
        if epoch != self._epoch:
            seeds = [slot.seed for slot in self.slots]
            self._order = batches_of_seeds(seeds, epoch, size, batch).to(self.device)
            self._epoch = epoch
        return self._order[:, place].reshape(-1)

    def _mark_divergence(self, losses: Tensor, first: int) -> None:
        for slot in self.active:
            bad = (~losses[:, slot].isfinite()).nonzero()
            if len(bad):
                self.first_non_finite[slot] = first + int(bad[0])
                self.lr[slot] = 0

    def accuracy(self, statistics: Statistics) -> tuple[Tensor, Tensor]:
        """Test accuracy and mean test loss of each slot, (S,) and (S,)."""
        return self.evaluate(self.test_x, self.test_labels, statistics)

    @torch.no_grad()
    def evaluate(
        self, images: Tensor, targets: Tensor, statistics: Statistics
    ) -> tuple[Tensor, Tensor]:
        """Accuracy and mean loss of each slot on images (N, inputs), (S,) and (S,)."""
        right = torch.zeros(len(self.slots), device=self.device)
        loss = torch.zeros(len(self.slots), device=self.device)
        for x, labels in zip(
            images.split(EVALUATION_CHUNK),
            targets.split(EVALUATION_CHUNK),
            strict=True,
        ):
            logits = self.net.forward(lit(x) if self.lit else x, statistics)[0]
            log_p = torch.log_softmax(logits, -1)
            right += (log_p.argmax(-1) == labels).sum(1)
            loss -= log_p.gather(-1, labels.view(1, -1, 1).expand(len(right), -1, 1)).sum((1, 2))
        return right / len(images), loss / len(images)

    def estimate_population(self) -> None:
        """Algorithm 2 over the training batches of one epoch, the same random ones for all slots.

        The data's own order would not do: neighbours may share a writer or a class.
        """
        if self.net.transform.normalises:
            whole = len(self.x) // self.optim.batch * self.optim.batch
            order = torch.randperm(len(self.x), generator=stream(0, "population"))[:whole]
            batches = order.to(self.device).split(self.optim.batch)
            self.net.estimate_population([self.x[index] for index in batches])

    def gradient_norms(self) -> dict[str, Tensor]:
        """‖∂ℓ/∂W‖ of each layer at the last mini-batch, (S,) each."""
        return {
            name.removesuffix(".weight"): torch.linalg.vector_norm(grad, dim=(1, 2))
            for name, grad in self.grads.items()
            if name.endswith(".weight")
        }

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on; batches and weights draw from keyed streams, so the
        step count is the sampler's position and no generator's state is left to save."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "params": self.net.params,
            "moving": self.net.moving,
            "velocity": self.velocity,
            "lr": self.lr,
            "first_non_finite": self.first_non_finite,
            "replicas": None if self.replicas is None else self.replicas.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.first_non_finite = state["first_non_finite"]
        if self.replicas is not None:
            self.replicas.load_state_dict(state["replicas"])
        self.lr.copy_(state["lr"])
        for name in ("params", "moving"):
            for key, value in getattr(self.net, name).items():
                value.copy_(state[name][key])
        for key, value in self.velocity.items():
            value.copy_(state["velocity"][key])
