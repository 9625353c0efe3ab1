"""Section 3.3: does BN allow much higher learning rates?

    make learning-rate                                  train, then figures and tables
    python -m experiments.learning_rate jobs=4 threads=1    four cells side by side

Laptop CPU, four minutes on two cores. Rates over six decades, sigmoid and ReLU, networks of 1, 3
and 8 hidden layers and of 50, 100 and 200 units. To expect: with BN a rate several times as high
still trains; beyond it the networks fail in another way.
"""

from dataclasses import dataclass

from bnrepro.config.slot_sweep import SlotSweepConfig
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class LearningRateConfig(SlotSweepConfig):
    """Section 3.3: learning rates; a block of the sweep, and so a table, for each activation."""


EXPERIMENT = Experiment(
    stem="learning_rate",
    section="3.3",
    question="Does BN allow much higher learning rates?",
    config=LearningRateConfig,
    gather=gather_cells,
)
