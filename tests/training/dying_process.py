"""`experiments.inception` whose second process kills itself in its seventh update."""

import os
import signal

import torch

from bnrepro.run import processes
from bnrepro.training.images import ImageTrainer
from experiments.inception.__main__ import main

usual = ImageTrainer._train_step


def deadly(trainer: ImageTrainer) -> torch.Tensor:
    if trainer.step == 6 and processes.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return usual(trainer)


ImageTrainer._train_step = deadly  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
