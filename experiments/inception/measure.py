"""Section 4.2: the training runs of Figures 2 and 3."""

from bnrepro.config.images import ImageConfig
from bnrepro.training.image_runs import train_arm


def run(cfg: ImageConfig) -> None:
    """Train the seeds that are not finished, one after the other."""
    train_arm(cfg)
