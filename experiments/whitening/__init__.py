"""Section 2: what does full whitening of layer inputs gain over BN, and what does it cost?

    make whitening                                   measure, then figures and table
    python -m experiments.whitening lr=[1,2,4]       other learning rates for all arms

Laptop CPU, two minutes on two cores; an idle machine, since it measures time. To expect: both are
far ahead of no normalisation at first; whether whitening gains anything over BN per step is open,
at m = 4d and with more examples; with fewer examples than units it depends on its ridge. Its cost
grows towards d³, BN's at most as d.
"""

from dataclasses import dataclass

from bnrepro.config.rules import UNITS, mini_batch, not_negative, setting, shown
from bnrepro.config.schema import SweepConfig, check_memory, check_networks, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class WhiteningConfig(SweepConfig):
    """Section 2: full whitening against normalising each unit by itself."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    init_std: float = setting()  # of the Gaussian initial weights
    # of BN, and the ridge of whitening where it is not varied
    eps: float = setting(check=not_negative)
    batch: int = setting(check=mini_batch)  # examples a step, four times the width
    # for BN and whitening: how much is the covariance's noise?
    large_batch: int = setting(check=mini_batch)
    small_batch: int = setting(check=mini_batch)  # fewer examples than units
    # added to the covariance's diagonal
    ridges: list[float] = setting(check=not_negative, distinct=True)
    lr: list[float] = setting(distinct=True)  # the rates every arm is tuned over
    tuning_seed: int = setting(check=not_negative)  # a seed that is not reported
    tuning_images: int = setting()  # held out of training, on which rates are compared
    stops: list[int] = setting(rising=True)  # steps at which accuracy is measured; the last ends
    # training images whose statistics serve at test time
    population_examples: int = setting(check=mini_batch)
    timed_steps: int = setting()  # of a stretch
    timed_stretches: int = setting()  # the median counts
    cost_widths: list[int] = setting(most=20_000, distinct=True)  # units of the timed transform
    cost_repeats: list[int] = setting()  # a number a width; the median counts
    cost_examples: int = setting(check=mini_batch)  # of the mini-batch, at every width

    def check(self, prefix: str) -> None:
        """Raise a UserError unless there is a number of repeats a width, and room for all."""
        if len(self.cost_repeats) != len(self.cost_widths):
            raise UserError(
                f"cost_repeats={self.cost_repeats}: give as many as cost_widths={self.cost_widths}"
            )
        if self.tuning_seed in seed_list(self.seeds):
            raise UserError(
                f"tuning_seed={self.tuning_seed}: one of seeds={shown(self.seeds)}, which are "
                "reported; choose another"
            )
        networks = max(len(self.lr), len(seed_list(self.seeds)))
        check_networks(self.hidden, max(self.batch, self.large_batch), networks)
        width = max(*self.cost_widths, *self.hidden)
        numbers = 10 * width * max(width, self.cost_examples)  # the eigenproblem keeps copies
        named = {"hidden": self.hidden, "cost_widths": self.cost_widths}
        check_memory(numbers, named)


EXPERIMENT = Experiment(
    stem="whitening",
    section="2",
    question="What does full whitening give, and what does it cost?",
    config=WhiteningConfig,
    gather=gather_cells,
)
