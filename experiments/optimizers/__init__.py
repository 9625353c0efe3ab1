"""Section 3.1: can a network with BN be trained by other optimisers than mini-batch SGD?

    make optimizers                                     train, then figures and table
    python -m experiments.optimizers jobs=2             two cells side by side

Laptop CPU, two minutes on one core. Gradient descent on all of 500 training images, Adagrad
and, for comparison, SGD on mini-batches of 60, with and without BN, over rates. To expect: with BN
all three train.
"""

from dataclasses import dataclass

from bnrepro.config.slot_sweep import SlotSweepConfig
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class OptimizersConfig(SlotSweepConfig):
    """Section 3.1: optimisers; a block of the sweep, and so a table, for each."""


EXPERIMENT = Experiment(
    stem="optimizers",
    section="3.1",
    question="Do full-batch gradient descent and Adagrad train a network with BN?",
    config=OptimizersConfig,
    gather=gather_cells,
)
