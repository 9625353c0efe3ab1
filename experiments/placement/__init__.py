"""Section 3.2: does BN belong on Wu + b rather than on the layer input u, and what makes
convolutional BN convolutional?

    make placement                                  measure, then figures and table
    python -m experiments.placement lr=[0.3] shape_lr=0.3    one learning rate

Laptop CPU, about three minutes. To expect: Wu + b closer to a Gaussian than u, most of all with
ReLU, whose u is half zeros; a bias without gradient; per-feature-map BN commutes with shifts to
rounding and per-activation BN does not, with p·q times the parameters.
"""

from dataclasses import dataclass

from bnrepro.config.rules import choice, mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class PlacementConfig(SweepConfig):
    """Section 3.2: where Batch Normalization goes."""

    hidden: list[int] = setting()
    activations: list[str] = choice("sigmoid", "relu")
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    batch: int = setting(check=mini_batch)  # examples a step
    lr: list[float] = setting()
    shape_lr: float = setting()  # the rate, one of lr, at which distributions are followed
    # steps at which accuracy and distributions are measured; training ends at the last
    stops: list[int] = setting(check=not_negative, rising=True)
    probe_examples: int = setting()  # training images on which they are measured
    population_examples: int = setting()  # training images whose statistics serve at test time
    conv_channels: list[int] = setting()
    conv_kernel: int = setting()  # pixels a side
    conv_lr: float = setting()
    conv_steps: int = setting()
    exact_examples: int = setting()  # mini-batch of the float64 identities
    exact_eps: list[float] = setting(check=not_negative)

    def check(self, prefix: str) -> None:
        """Raise a UserError unless distributions are followed at one of the rates."""
        if self.shape_lr not in self.lr:
            raise UserError(f"shape_lr={self.shape_lr}: must be one of lr={self.lr}")


EXPERIMENT = Experiment(
    stem="placement",
    section="3.2",
    question="Why before the nonlinearity, and one γ, β a feature map?",
    config=PlacementConfig,
    gather=gather_cells,
)
