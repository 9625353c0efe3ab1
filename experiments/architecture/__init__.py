"""Appendix, Figure 5: does the network of the table have the printed shapes and parameters?

    make architecture                      count, then figure and table

Laptop CPU, a second; the network is built at its full size without values. To expect: the printed
sides; widths of 608, 608 and 1,056 where 576, 576 and 1,024 are printed; 11.3 million parameters.
"""

from dataclasses import dataclass

from bnrepro.config.rules import UNITS, setting
from bnrepro.config.schema import SIDE, SweepConfig
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class ArchitectureConfig(SweepConfig):
    """What of Figure 5 is counted."""

    classes: int = setting(most=UNITS)  # of the classifier
    side: int = setting(most=SIDE)  # pixels of the image
    projections: list[int] = setting(most=UNITS, distinct=True)  # feature maps, in 4c and 4d


EXPERIMENT = Experiment(
    stem="architecture",
    section="4.2",
    question="Has the network of Figure 5 the printed shapes and parameters?",
    config=ArchitectureConfig,
    gather=gather_cells,
)
