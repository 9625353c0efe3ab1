"""Section 3, Algorithm 1: does the transform do what the paper's equations say?

    make transform                         measure, then figure and table
    python -m experiments.transform scale=smoke

Laptop CPU, seconds; random values in float64, no images. To expect: the identity, the moments and
the convolutional form to float64's rounding; the six gradients to the digits that central
differences have.
"""

from dataclasses import dataclass

from bnrepro.config.rules import mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class TransformConfig(SweepConfig):
    """Section 3: mini-batches of random values."""

    batch: list[int] = setting(check=mini_batch, distinct=True, most=100_000)  # m
    eps: list[float] = setting(check=not_negative, distinct=True)  # inside the root of Algorithm 1
    width: int = setting(most=1_000)  # units of the layer
    inputs: int = setting(most=1_000)  # of the layer
    differences: list[float] = setting(distinct=True)  # h of the central differences
    factors: list[float] = setting(distinct=True)  # a, on one example
    maps: list[int] = setting(most=100)  # feature maps, rows, columns

    def check(self, prefix: str) -> None:
        """Raise a UserError for feature maps without three sizes."""
        if len(self.maps) != 3:
            raise UserError(f"maps={self.maps}: three sizes: feature maps, rows, columns")


EXPERIMENT = Experiment(
    stem="transform",
    section="3",
    question="Does Algorithm 1 do what its equations say?",
    config=TransformConfig,
    gather=gather_cells,
)
