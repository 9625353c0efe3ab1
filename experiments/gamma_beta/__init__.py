"""Section 3: what does BN lose without γ and β?

    make gamma-beta                                     train, then figures and table
    python -m experiments.gamma_beta jobs=2             two cells side by side

Laptop CPU, one minute on one core. The network of 4.1 with BN as the paper has it, with γ = 1 and
β = 0 throughout, and without BN, over rates. To expect: without γ and β nearly all inputs of a
sigmoid stay between −2 and 2, where it is nearly linear; with them many leave.
"""

from dataclasses import dataclass
from typing import ClassVar

from bnrepro.config.slot_sweep import SlotSweepConfig
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class GammaBetaConfig(SlotSweepConfig):
    """Section 3: the arm `bn_fixed` has BN whose γ and β stay at 1 and 0."""

    OWN_ARMS: ClassVar[tuple[str, ...]] = ("bn_fixed",)
    PROBES: ClassVar[tuple[str, ...]] = (*SlotSweepConfig.PROBES, "linear")


EXPERIMENT = Experiment(
    stem="gamma_beta",
    section="3",
    question="What does BN lose without γ and β?",
    config=GammaBetaConfig,
    gather=gather_cells,
)
