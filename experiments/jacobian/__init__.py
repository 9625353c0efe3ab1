"""Section 3.3, a conjecture: with BN, are the singular values of layer Jacobians near 1?

    make jacobian                                    measure, then figures and table
    python -m experiments.jacobian widths=[100]      one width only

Laptop CPU, under three minutes. To expect: the argument itself is exact under its premises, but BN
gives unit variances without zero correlations, so look at how networks with and without BN compare
with each other and with a random Gaussian matrix, for which 69 % of the singular values lie within
[½, 2] when it is large.
"""

from dataclasses import dataclass

from bnrepro.config.rules import UNITS, choice, mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig, check_memory, check_networks, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class JacobianConfig(SweepConfig):
    """Section 3.3: the singular values of layer Jacobians."""

    widths: list[int] = setting(most=UNITS, least=2, distinct=True)  # units of every hidden layer
    hidden_layers: int = setting(least=2, most=1_000)  # their number
    activations: list[str] = choice("sigmoid", "relu")
    lr: list[float] = setting()  # a rate an activation, the same for both arms
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    batch: int = setting(check=mini_batch)  # examples a step
    # steps at which Jacobians are measured; 0: as initialised
    stops: list[int] = setting(check=not_negative, rising=True)
    probe_examples: int = setting(check=mini_batch)  # training images that give the statistics
    jacobian_examples: int = setting(most=100_000)  # of these, how many get a Jacobian each

    def check(self, prefix: str) -> None:
        """Raise a UserError unless there is a rate an activation, and room for all matrices."""
        if len(self.lr) != len(self.activations):
            raise UserError(f"lr={self.lr}: give as many as activations={self.activations}")
        if self.jacobian_examples > self.probe_examples:
            raise UserError(
                f"jacobian_examples={self.jacobian_examples}: some of the probe_examples="
                f"{self.probe_examples}, so not more"
            )
        width, examples = max(self.widths), self.jacobian_examples
        check_networks([width] * self.hidden_layers, self.batch, len(seed_list(self.seeds)))
        check_memory(examples * width**2, {"widths": self.widths, "jacobian_examples": examples})


EXPERIMENT = Experiment(
    stem="jacobian",
    section="3.3",
    question="Do layer Jacobians get singular values near 1?",
    config=JacobianConfig,
    gather=gather_cells,
)
