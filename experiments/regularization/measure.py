"""Networks that overfit, and how much their outputs vary with the batch-mates of an example."""

from collections.abc import Mapping

import torch
from torch import Tensor

from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.seeding import stream
from bnrepro.training.probes import divided_logits
from bnrepro.training.slot_sweep import Hooks, Layers, SweepCell, run_sweep
from bnrepro.training.slots import SlotTrainer
from experiments.regularization import RegularizationConfig

FITTED = 2000  # training images that accuracy is measured on, at most
DIVISIONS = 8  # of the training images into mini-batches


def run(cfg: RegularizationConfig) -> None:
    """Train every network and record a row at each stop."""
    run_sweep(cfg, HOOKS)


def transform(cfg: RegularizationConfig, cell: SweepCell) -> Transform | None:
    """BN for the arms that have it, in groups where the cell has them."""
    if cell.shared["arm"] == "baseline":
        return None
    group = cell.shared.get("group")
    return BatchTransform(cfg.model.eps, cfg.model.bn_momentum, group=group)


def gap(trainer: SlotTrainer, layers: Layers) -> Mapping[str, Tensor]:
    """Accuracy and loss on the (first) training images, evaluated as test images are."""
    accuracy, loss = trainer.evaluate(trainer.x[:FITTED], trainer.labels[:FITTED], "population")
    return {"fitted_accuracy": accuracy, "fitted_loss": loss}


@torch.no_grad()
def mates(trainer: SlotTrainer, layers: Layers) -> Mapping[str, Tensor]:
    """How far training images' logits vary with their batch-mates, for networks with groups.

    noise: the standard deviation of a logit over random divisions into groups, relative to that
    over images; the mean of an image's logits, to which the softmax is blind, is taken off first.
    """
    transform = trainer.net.transform
    if not isinstance(transform, BatchTransform) or transform.group is None:
        return {}
    whole = len(trainer.x) // transform.group * transform.group
    orders = (torch.randperm(whole, generator=stream(0, "mates", i)) for i in range(DIVISIONS))
    each = torch.stack(list(divided_logits(trainer.net, trainer.x[:whole], orders)))
    each -= each.mean(-1, keepdim=True)
    over_divisions = each.var(0).mean((1, 2))
    over_images = each.mean(0).var(1).mean(1)
    return {"noise": (over_divisions / over_images).sqrt()}


HOOKS = Hooks(transform=transform, probes={"gap": gap, "mates": mates})
