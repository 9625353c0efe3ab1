"""What a small change of W₁ does to the inputs of every layer's nonlinearity."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from bnrepro.seeding import stream
from bnrepro.training.slot_sweep import Hooks, Layers, run_sweep
from bnrepro.training.slots import SlotTrainer
from experiments.amplification import AmplificationConfig

SIZE = 0.01  # ‖ΔW₁‖ / ‖W₁‖
FIRST = "hidden1.weight"


def run(cfg: AmplificationConfig) -> None:
    """Train every network and record a row at each stop."""
    run_sweep(cfg, Hooks(probes={"changes": changes}))


@torch.no_grad()
def changes(trainer: SlotTrainer, layers: Layers) -> Mapping[str, Tensor]:
    """How far the inputs a of each hidden layer's nonlinearity move when W₁ is changed by 1 %.

    The root mean square of Δa over images and units, over that of a's standard deviation over
    images. BN normalises the images as one mini-batch, before and after. `update_l`: W₁ is changed
    along the gradient of the last mini-batch, as a step of training does; at step 0 there is none.
    `random_l`: along a Gaussian direction, keyed by seed.
    """
    weight = trainer.net.params[FIRST]
    random = [
        torch.randn(weight.shape[1:], generator=stream(slot.seed, "changes"))
        for slot in trainer.slots
    ]
    directions = {
        "update": -trainer.grads.get(FIRST, torch.full_like(weight, torch.nan)),
        "random": torch.stack(random).to(weight),
    }
    return {
        f"{kind}_{name}": value
        for kind, direction in directions.items()
        for name, value in moved(trainer, layers, direction).items()
    }


def moved(trainer: SlotTrainer, layers: Layers, direction: Tensor) -> dict[str, Tensor]:
    """The relative change of every hidden layer's inputs, (S,) each, by a step in a direction."""
    net = copy.copy(trainer.net)
    weight = net.params[FIRST]
    size = SIZE * length(weight) / length(direction)
    net.params = {**net.params, FIRST: weight + size * direction}
    after = net.forward(trainer.x[: layers[0].a.shape[1]])[1]
    found = {}
    for name, old, new in zip(net.hidden, layers, after, strict=True):
        spread = old.a.var(1, correction=0).mean(1)
        found[name] = ((new.a - old.a).square().mean((1, 2)) / spread).sqrt()
    return found


def length(weight: Tensor) -> Tensor:
    """Frobenius norm of each slot's matrix, (S, 1, 1)."""
    norm: Tensor = torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
    return norm
