"""Section 2: if a gradient step takes the normalisation's statistics for constants, does the bias
ahead of it grow while the loss does not change, and does the model blow up?

    make bias-growth                                 measure, then figures and table
    python -m experiments.bias_growth lr=[0.5,1]     other learning rates

Laptop CPU, about two minutes. To expect: exact growth, a constant step with output and loss fixed
to rounding, as long as b alone is trained; with all parameters trained, a blow-up at learning rates
where BN, the same network with the gradient through the statistics, trains on.
"""

from dataclasses import dataclass

from bnrepro.config.rules import UNITS, choice, mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig, check_networks, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class BiasGrowthConfig(SweepConfig):
    """Section 2: normalisation outside the gradient step."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    batch: int = setting(check=mini_batch)  # examples a step
    activations: list[str] = choice("sigmoid", "relu")
    lr: list[float] = setting(distinct=True)  # a network is trained at each
    every: list[int] = setting(distinct=True)  # steps between refreshes of the statistics
    # steps at which the trained networks are recorded; the last ends
    stops: list[int] = setting(rising=True)
    exact_examples: int = setting(check=mini_batch)  # "the full data" of the exact part
    exact_steps: int = setting()  # of gradient descent on them
    exact_record_every: int = setting()  # steps
    exact_lr: float = setting()  # its rate

    def check(self, prefix: str) -> None:
        """Raise a UserError for a record without rows and for networks without room."""
        if self.exact_record_every > self.exact_steps:
            raise UserError(
                f"exact_record_every={self.exact_record_every}: more than exact_steps="
                f"{self.exact_steps}; nothing would be recorded"
            )
        check_networks(self.hidden, self.batch, len(self.lr) * len(seed_list(self.seeds)))


EXPERIMENT = Experiment(
    stem="bias_growth",
    section="2",
    question="What if the gradient step ignores the normalisation?",
    config=BiasGrowthConfig,
    gather=gather_cells,
)
