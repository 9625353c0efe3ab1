"""Sections 1, 3.3: do small changes of the first layer's weights amplify with depth?

    make amplification                                  train, then figures and table
    python -m experiments.amplification jobs=2          two cells side by side

Laptop CPU, one minute on one core. Networks of eight hidden layers, with and without BN, sigmoid
and ReLU. The first layer's weights are changed by 1 %, along the gradient or at random, and the
change of every layer's inputs to the nonlinearity is measured in units of their spread over images.
"""

from dataclasses import dataclass
from typing import ClassVar

from bnrepro.config.slot_sweep import SlotSweepConfig
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class AmplificationConfig(SlotSweepConfig):
    """Sections 1, 3.3: networks whose first layer is changed a little."""

    PROBES: ClassVar[tuple[str, ...]] = (*SlotSweepConfig.PROBES, "changes")

    def check(self, prefix: str) -> None:
        """Raise a UserError as for any sweep, and for networks without a layer above the first."""
        super().check(prefix)
        if len(self.model.hidden) < 2:
            raise UserError(f"model.hidden={self.model.hidden}: growth needs two layers or more")


EXPERIMENT = Experiment(
    stem="amplification",
    section="3.3",
    question="Do small changes of the first layer amplify with depth?",
    config=AmplificationConfig,
    gather=gather_cells,
)
