"""Section 4.2.1: which of the seven changes that come with BN makes how much of a difference?

    make ablation                                 every arm and seed of a scale, then figure
    make ablation ARGS="seeds=1"                  one seed
    python -m experiments.ablation variant=bn_x5_undo_rate

Each change is undone in BN-x5, and made alone in BN-Baseline; Dropout and Local Response
Normalization are also removed from Inception. `configs/ablation.yaml` says in which setting, and
why. To expect: the rate makes the largest difference in steps.
"""

from dataclasses import dataclass, field

from omegaconf import MISSING

from bnrepro.config.images import ImageConfig
from bnrepro.config.rules import neutral, positive, setting
from bnrepro.evidence.gather import gather_runs
from bnrepro.experiment import Experiment


@dataclass
class FewConfig:
    """The setting of the arms `few_…`, which `configs/ablation/few.yaml` puts in its place."""

    examples: int = neutral(MISSING, positive)  # of the training images, the first
    steps: int = neutral(MISSING, positive)  # T of those runs
    lr: float = neutral(MISSING, positive)  # of the plain network
    grid: list[list[int]] = setting(grid=True, neutral=True)  # accuracy: [until, every] in steps


@dataclass
class AblationConfig(ImageConfig):
    """A network of Section 4.2, with some of the seven changes."""

    few: FewConfig = field(default_factory=FewConfig)


EXPERIMENT = Experiment(
    stem="ablation",
    section="4.2.1",
    question="Which of the seven changes that come with BN makes how much of a difference?",
    config=AblationConfig,
    gather=gather_runs,
    side_by_side=2,
)
