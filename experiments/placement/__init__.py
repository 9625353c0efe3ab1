"""Section 3.2: does BN belong on Wu + b rather than on the layer input u, and what makes
convolutional BN convolutional?

    make placement                                  measure, then figures and table
    python -m experiments.placement lr=[0.3] shape_lr=0.3    one learning rate

Laptop CPU, about four minutes. To expect: Wu + b closer to a Gaussian than u, most of all with
ReLU, whose u is half zeros; a bias without gradient; per-feature-map BN commutes with shifts to
rounding and per-activation BN does not, with p·q times the parameters. BN on hidden u is no worse
at its best rate, but fails at lower rates than BN on Wu + b.
"""

from dataclasses import dataclass
from itertools import pairwise

from bnrepro.config.rules import UNITS, choice, mini_batch, not_negative, setting
from bnrepro.config.schema import SIDE, SweepConfig, check_memory, check_networks, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class PlacementConfig(SweepConfig):
    """Section 3.2: where Batch Normalization goes."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    activations: list[str] = choice("sigmoid", "relu")
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    batch: int = setting(check=mini_batch)  # examples a step
    lr: list[float] = setting(distinct=True)  # a network is trained at each
    shape_lr: float = setting()  # the rate, one of lr, at which distributions are followed
    # steps at which accuracy and distributions are measured; training ends at the last
    stops: list[int] = setting(check=not_negative, rising=True)
    probe_examples: int = setting(check=mini_batch)  # training images on which they are measured
    # training images whose statistics serve at test time
    population_examples: int = setting(check=mini_batch)
    conv_channels: list[int] = setting(most=10_000)  # feature maps of each convolution
    conv_kernel: int = setting(least=3, most=SIDE)  # pixels a side, an odd number
    conv_lr: float = setting()  # learning rate of the convolutional network
    conv_steps: int = setting()  # of its training
    # mini-batch of the float64 identities
    exact_examples: int = setting(check=mini_batch, most=10_000)
    exact_eps: list[float] = setting(check=not_negative, distinct=True)  # their ε

    def check(self, prefix: str) -> None:
        """Raise a UserError unless distributions are followed at one of the rates, the images are
        larger than what the convolutions take off, and all fits into memory."""
        if self.shape_lr not in self.lr:
            raise UserError(f"shape_lr={self.shape_lr}: must be one of lr={self.lr}")
        if len(self.hidden) < 2:
            raise UserError(f"hidden={self.hidden}: the u of a second layer is measured; give two")
        self._check_convolutions()
        check_networks(self.hidden, self.batch, len(self.lr) * len(seed_list(self.seeds)))

    def _check_convolutions(self) -> None:
        kernel, channels = self.conv_kernel, self.conv_channels
        if kernel % 2 == 0:
            raise UserError(f"conv_kernel={kernel}: must be odd, to have a centre")
        side, numbers = self.data.size or 28, 0
        for before, maps in pairwise([1, *channels]):
            side = (side - kernel) // 2 + 1
            if side < 1:
                raise UserError(
                    f"conv_kernel={kernel}, conv_channels={channels}: nothing is left of an image "
                    f"after so many convolutions of stride 2"
                )
            numbers += maps * (before * kernel**2 + self.batch * side**2)
        numbers *= len(seed_list(self.seeds))
        check_memory(numbers, {"conv_channels": channels, "batch": self.batch})


EXPERIMENT = Experiment(
    stem="placement",
    section="3.2",
    question="Why before the nonlinearity, and one γ, β a feature map?",
    config=PlacementConfig,
    gather=gather_cells,
)
