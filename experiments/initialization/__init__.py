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

from bnrepro.config.slot_sweep import SlotSweepConfig
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment

CASES = ("normal", "layer_up", "layer_down", "biases", "classifier")  # the starts of `cases`


@dataclass
class InitializationConfig(SlotSweepConfig):
    """Sections 1, 3.3: initial standard deviations and bad starts."""

    OWN_AXES: ClassVar[tuple[str, ...]] = ("case",)

    def check(self, prefix: str) -> None:
        """Raise a UserError for a start that does not exist."""
        super().check(prefix)
        for block, axes in self.sweep.items():
            for case in axes.get("case", []):
                if case not in CASES:
                    allowed = ", ".join(CASES)
                    raise UserError(f"sweep.{block}.case={case}: allowed are {allowed}")


EXPERIMENT = Experiment(
    stem="initialization",
    section="3.3",
    question="Can one be less careful about initialisation with BN?",
    config=InitializationConfig,
    gather=gather_cells,
)
