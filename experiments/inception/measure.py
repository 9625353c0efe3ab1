"""Section 4.2: the training runs of Figures 2 and 3."""

from bnrepro.training.image_runs import train_arm as run

__all__ = ["run"]
