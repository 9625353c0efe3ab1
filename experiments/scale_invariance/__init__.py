"""Section 3.3: is a normalised layer blind to the scale of its weights, and do larger weights get
smaller gradients?

    make scale-invariance                                measure, then figures and table
    python -m experiments.scale_invariance lr=[1,10]     other learning rates

Laptop CPU, one minute. To expect: the three equations to float64's rounding over eight decades
of a; with ε, the same layer at ε/a²; in training, gradients that fall as 1/‖W‖ with BN.
"""

from dataclasses import dataclass

from bnrepro.config.rules import UNITS, mini_batch, not_negative, setting
from bnrepro.config.schema import INPUTS, SweepConfig, check_memory, check_networks, seed_list
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class ScaleInvarianceConfig(SweepConfig):
    """Section 3.3: the scale of the weights."""

    hidden: list[int] = setting(most=UNITS)  # units of each hidden layer
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # of the trained networks
    batch: int = setting(check=mini_batch)  # examples a step
    lr: list[float] = setting(distinct=True)  # a network is trained at each
    # steps at which weights and gradients are recorded; the last one ends the training
    stops: list[int] = setting(rising=True)
    probe_scale: float = setting()  # the trained networks' weights are multiplied by it, as a probe
    exact_scales: list[float] = setting(distinct=True)  # |a|; both signs are measured
    exact_eps: list[float] = setting(check=not_negative, distinct=True)  # ε of the equations
    exact_examples: int = setting(check=mini_batch, most=10_000)  # of the mini-batch
    exact_units: int = setting(most=10_000)  # of their layer

    def check(self, prefix: str) -> None:
        """Raise a UserError for networks or Jacobians that do not fit into memory."""
        networks = len(self.lr) * len(seed_list(self.seeds))
        check_networks(self.hidden, 10 * self.batch, networks)  # the probe has ten mini-batches
        examples, outputs = self.exact_examples, self.exact_units
        derivatives = examples * outputs * max(examples, outputs) * INPUTS
        check_memory(derivatives, {"exact_examples": examples, "exact_units": outputs})


EXPERIMENT = Experiment(
    stem="scale_invariance",
    section="3.3",
    question="Is a layer with BN blind to the scale of its weights?",
    config=ScaleInvarianceConfig,
    gather=gather_cells,
)
