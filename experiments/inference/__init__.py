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

from bnrepro.config.rules import UNITS, fraction, mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig, check_memory, check_networks, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class InferenceConfig(SweepConfig):
    """Section 3.1: from mini-batch statistics to population statistics."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    bn_momentum: float = setting(check=fraction)  # weight of the new mini-batch in moving averages
    lr: float = setting()  # learning rate
    batches: list[int] = setting(check=mini_batch, distinct=True)  # m, examples a step
    # examples seen at which accuracy is measured; training ends at the last
    stops: list[int] = setting(rising=True)
    population_examples: int = setting(check=mini_batch)  # training images of Algorithm 2, line 10
    # random divisions of the test images into mini-batches
    regroupings: int = setting(least=2, most=10_000)
    company_examples: int = setting()  # test images followed through them
    timed_examples: int = setting()  # test images of a forward pass that is timed
    timed_repetitions: int = setting()  # of that pass; the median counts
    # of the population whose mini-batches are all written out
    enumerated_values: int = setting(least=2)
    enumerated_batches: list[int] = setting(check=mini_batch, most=20, distinct=True)  # their m

    def check(self, prefix: str) -> None:
        """Raise a UserError unless every m has a whole mini-batch, and divisions to compare."""
        largest = max(self.batches)
        for key in ("population_examples", "company_examples"):
            if getattr(self, key) < largest:
                given = f"{key}={getattr(self, key)}"
                raise UserError(f"{given}: must be at least {largest}, the largest of batches")
        if self.stops[0] < largest:
            raise UserError(f"stops={self.stops}: the first one is less than a step of {largest}")
        values, draws = self.enumerated_values, max(self.enumerated_batches)
        named = {"enumerated_values": values, "enumerated_batches": self.enumerated_batches}
        check_memory(values**draws * draws, named)
        examples = max(largest, self.population_examples)
        check_networks(self.hidden, examples, len(seed_list(self.seeds)))


EXPERIMENT = Experiment(
    stem="inference",
    section="3.1",
    question="Which statistics should BN use at test time?",
    config=InferenceConfig,
    gather=gather_cells,
)
