"""Section 4.2.3, Figure 4: what are 144 crops of an image worth, and what six networks together?

    make ensemble                                   seven networks a seed, then figure and tables
    python -m experiments.ensemble variant=dropout_5 seeds=1

Every network leaves its mean class probabilities over the first 1, 2, 10, 12, 48 and 144 crops in
its record (`views.npz`), so that any ensemble of them is evaluated without the networks. The rule
stands in `configs/ensemble.yaml`.
"""

from dataclasses import dataclass, field

from bnrepro.config.images import ImageConfig
from bnrepro.config.rules import choice, setting
from bnrepro.experiment import Experiment
from experiments.ensemble.gather import gather_ensembles


@dataclass
class CropConfig:
    """The multicrop evaluation."""

    images: int = setting()  # the first ones of the test set
    first: str = choice("square", "centre")  # the single crop


@dataclass
class EnsembleConfig(ImageConfig):
    """A member, its training and its multicrop evaluation."""

    crops: CropConfig = field(default_factory=CropConfig)


EXPERIMENT = Experiment(
    stem="ensemble",
    section="4.2.3",
    question="Figure 4: what are 144 crops worth, and what six networks together?",
    config=EnsembleConfig,
    gather=gather_ensembles,
    side_by_side=2,
    data_parallel=True,
)
