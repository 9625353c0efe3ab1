"""The title, Sections 1 and 2: does BN reduce internal covariate shift, and is that why it is fast?

    make covariate-shift                                            measure, then figures and table
    python -m experiments.covariate_shift activations=[relu] lr.relu=[0.1,0.3]    fewer networks

Internal covariate shift is the change of the distribution of a layer's inputs that comes from the
change of the layers below. It is measured twice: as the distance that every unit's distribution
moves over 1 to 1,000 steps, and as the change of a layer's gradient when the layers below alone are
updated. The control of later work (Santurkar et al. 2018) puts a shift back: behind BN each unit is
shifted and scaled by random numbers drawn anew at every step.

Laptop CPU, about five minutes on two cores. To expect: with BN inputs move less, most of all in
mean and scale; gradients change about as much when the layers below are updated; with a shift put
back behind BN, larger than that of the plain network, training is about as fast as with BN alone.
"""

import math
from dataclasses import dataclass

from bnrepro.config.rules import UNITS, choice, mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig, check_networks, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class CovariateShiftConfig(SweepConfig):
    """Networks of Figure 1, when they are looked at, and what is looked at."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    activations: list[str] = choice("sigmoid", "relu")
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # inside the root of Algorithm 1, line 3
    batch: int = setting(check=mini_batch)  # examples a step
    lr: dict[str, list[float]] = setting(check=None)  # rates of each activation, an arm at each
    noise: list[float] = setting()  # strengths κ of the noise behind BN, an arm each
    # steps at which accuracy is measured; training ends at the last
    stops: list[int] = setting(rising=True)
    starts: list[int] = setting(check=not_negative, rising=True)  # steps at which lags begin
    lags: list[int] = setting(rising=True)  # steps
    gradient_steps: int = setting()  # from every start on, at which gradients are compared
    probe_examples: int = setting(check=mini_batch)  # training images that are looked at
    # training images whose statistics serve at test time
    population_examples: int = setting(check=mini_batch)

    def check(self, prefix: str) -> None:
        """Raise a UserError unless all activations have rates, training is long enough, and all
        fits into memory."""
        for name in self.activations:
            rates = self.lr.get(name)
            if not rates or not all(0 < rate < math.inf for rate in rates):
                raise UserError(f"lr.{name}={rates}: name at least one rate, all greater than 0")
        if len(self.hidden) < 2:
            raise UserError(f"hidden={self.hidden}: a shift needs a layer below; at least two")
        last = self.starts[-1] + max(self.lags[-1], self.gradient_steps)
        if last > self.stops[-1]:
            raise UserError(
                f"stops: training ends at step {self.stops[-1]}, but starts, lags and "
                f"gradient_steps reach step {last}; add it to stops or lower them"
            )
        most = max(len(self.lr[name]) for name in self.activations)
        check_networks(self.hidden, self.batch, most * len(seed_list(self.seeds)))


EXPERIMENT = Experiment(
    stem="covariate_shift",
    section="1",
    question="Does BN reduce internal covariate shift, and is that why it is fast?",
    config=CovariateShiftConfig,
    gather=gather_cells,
)
