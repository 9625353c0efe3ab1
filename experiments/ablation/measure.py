"""Section 4.2.1: the training runs, with and without each change."""

from bnrepro.training.image_runs import train_arm as run

__all__ = ["run"]
