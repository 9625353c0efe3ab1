"""Sections 1, 3.3: can one be less careful about initialisation with BN?

    make initialization                                 train, then figures and tables
    python -m experiments.initialization jobs=4         four cells side by side

Laptop CPU, four minutes on two cores. The network of 4.1 with sigmoids and with ReLU: initial
standard deviations over five decades × rates; four fixed bad starts; the plateau at a small
standard deviation. To expect: the plain networks train in a narrow band, those with BN nearly
everywhere.
"""

from dataclasses import dataclass
from typing import ClassVar

from bnrepro.config.rules import Rule
from bnrepro.config.slot_sweep import Axis, SlotSweepConfig
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment

CASES = ("normal", "layer_up", "layer_down", "biases", "classifier")  # the starts of `cases`


@dataclass
class InitializationConfig(SlotSweepConfig):
    """Sections 1, 3.3: initial standard deviations and bad starts."""

    OWN_AXES: ClassVar[dict[str, Axis]] = {"case": (str, Rule(choices=CASES))}


EXPERIMENT = Experiment(
    stem="initialization",
    section="3.3",
    question="Can one be less careful about initialisation with BN?",
    config=InitializationConfig,
    gather=gather_cells,
)
