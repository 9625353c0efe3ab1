"""Section 3.4: does BN regularise, so that Dropout can be reduced or left out?

    make regularization                                          train, then figures and tables
    python -m experiments.regularization jobs=4 threads=1        four cells side by side

Laptop CPU, about five minutes on two cores. Small training sets that the networks overfit, with
and without BN, over Dropout and L2. Then what in BN it could be: an example's output depends on its
batch-mates. Networks that take all images in one update differ only in how many of them, m, BN
normalises together; with all in one the noise is gone and the rest of BN is left.

To expect: the noise falls with m and the gap between training and test accuracy grows; on the
smallest set BN without Dropout does not replace Dropout.
"""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from bnrepro.config.rules import Rule, mini_batch
from bnrepro.config.slot_sweep import Axis, SlotSweepConfig
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class RegularizationConfig(SlotSweepConfig):
    """Section 3.4: networks that overfit, over Dropout and L2; and BN in groups of m.

    In the blocks `groups` and `plain` an update takes all training images. The arm `bn_tuned` has
    BN at its best rate, `bn` at the plain network's.
    """

    # m: examples that BN normalises together
    OWN_AXES: ClassVar[dict[str, Axis]] = {"group": (int, Rule(mini_batch))}
    OWN_ARMS: ClassVar[tuple[str, ...]] = ("bn_tuned",)
    PROBES: ClassVar[tuple[str, ...]] = (*SlotSweepConfig.PROBES, "gap", "mates")

    def check(self, prefix: str) -> None:
        """Raise a UserError as for any sweep, and for an m that does not divide the mini-batch."""
        super().check(prefix)
        for block, axes in self.sweep.items():
            batches = axes.get("batch", [self.optim.batch])
            for group, batch in product(axes.get("group", []), batches):
                if batch % group:
                    raise UserError(
                        f"sweep.{block}.group={group}: must divide the batch of {batch}"
                    )


EXPERIMENT = Experiment(
    stem="regularization",
    section="3.4",
    question="Does BN regularise, so that Dropout can go?",
    config=RegularizationConfig,
    gather=gather_cells,
)
