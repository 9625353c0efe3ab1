"""The networks of Figure 4: each one's training and its class probabilities, view by view."""

import functools
import io

import numpy as np
import torch
from torch import Tensor

from bnrepro.training.acceleration import precision
from bnrepro.training.crops import COUNTS, class_probabilities, differing
from bnrepro.training.image_runs import train_arm
from bnrepro.training.images import ImageTrainer, centred
from experiments.ensemble import EnsembleConfig
from experiments.ensemble.gather import VIEWS


def run(cfg: EnsembleConfig) -> None:
    """Train the seeds that are not finished, and evaluate each on all crops."""
    train_arm(cfg, functools.partial(evaluate, cfg))


@torch.inference_mode()
def evaluate(cfg: EnsembleConfig, trainer: ImageTrainer) -> dict[str, bytes]:
    """The file VIEWS: labels (N,), counts of crops and of different ones (K,), and mean
    probabilities (K, N, classes)."""
    network, source = trainer.network.eval(), trainer.source

    def classify(crops: Tensor) -> Tensor:
        with precision(cfg, trainer.device):
            return network(centred(crops))

    means, labels, distinct = [], [], np.zeros(len(COUNTS), int)
    for images, of_images in source.whole_images(cfg.crops.images):
        means.append(class_probabilities(classify, images, source.side, cfg.crops.first).cpu())
        labels.append(of_images.cpu())
        height, width = images.shape[-2:]
        distinct = np.maximum(distinct, differing(height, width, source.side))
    file = io.BytesIO()
    np.savez(
        file,
        counts=np.array(COUNTS),
        distinct=distinct,
        labels=torch.cat(labels).numpy(),
        probabilities=torch.cat(means, 1).numpy(),
    )
    return {VIEWS: file.getvalue()}
