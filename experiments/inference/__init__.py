"""Section 3.1: does Algorithm 2 make a network trained with BN deterministic and as accurate as its
mini-batches were, and does BN then fold into plain linear maps?

    make inference                                  measure, then figures and table
    python -m experiments.inference batches=[2,64]  other mini-batch sizes

Laptop CPU, about two minutes. To expect: outputs that do not depend on batch-mates; m/(m−1) exact
for independent draws, so in the first layer, and too much in deeper layers, whose mini-batches the
layer below has already given one common mean; moving averages as good as population statistics from
m = 32 up; folding without loss beyond rounding.
"""

from dataclasses import dataclass

from bnrepro.config.rules import mini_batch, not_negative, setting, share
from bnrepro.config.schema import SweepConfig
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class InferenceConfig(SweepConfig):
    """Section 3.1: from mini-batch statistics to population statistics."""

    hidden: list[int] = setting()
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    bn_momentum: float = setting(check=share)  # weight of the new mini-batch in the moving averages
    lr: float = setting()
    batches: list[int] = setting(check=mini_batch)  # m, examples a step
    # examples seen at which accuracy is measured; training ends at the last
    stops: list[int] = setting(rising=True)
    population_examples: int = setting()  # training images of Algorithm 2, line 10
    regroupings: int = setting()  # random divisions of the test images into mini-batches
    company_examples: int = setting()  # test images followed through them
    timed_examples: int = setting()  # test images of a forward pass that is timed
    timed_repetitions: int = setting()
    enumerated_values: int = setting()  # of the population whose mini-batches are all written out
    enumerated_batches: list[int] = setting(check=mini_batch)  # their m

    def check(self, prefix: str) -> None:
        """Raise a UserError unless every m has a whole mini-batch, and divisions to compare."""
        largest = max(self.batches)
        for key in ("population_examples", "company_examples"):
            if getattr(self, key) < largest:
                given = f"{key}={getattr(self, key)}"
                raise UserError(f"{given}: must be at least {largest}, the largest of batches")
        if self.regroupings < 2:
            raise UserError(f"regroupings={self.regroupings}: must be at least 2, to be compared")


EXPERIMENT = Experiment(
    stem="inference",
    section="3.1",
    question="Which statistics should BN use at test time?",
    config=InferenceConfig,
    gather=gather_cells,
)
