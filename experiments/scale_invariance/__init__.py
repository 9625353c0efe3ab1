"""Section 3.3: is a normalised layer blind to the scale of its weights, and do larger weights get
smaller gradients?

    make scale-invariance                                measure, then figures and table
    python -m experiments.scale_invariance lr=[1,10]     other learning rates

Laptop CPU, two minutes. To expect: the three equations to float64's rounding over eight decades
of a; with ε, the same layer at ε/a²; in training, gradients that fall as 1/‖W‖ with BN.
"""

from dataclasses import dataclass

from bnrepro.config.rules import mini_batch, not_negative, setting
from bnrepro.config.schema import SweepConfig
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class ScaleInvarianceConfig(SweepConfig):
    """Section 3.3: the scale of the weights."""

    hidden: list[int] = setting()
    init_std: float = setting()  # of the Gaussian initial weights
    eps: float = setting(check=not_negative)  # of the trained networks
    batch: int = setting(check=mini_batch)  # examples a step
    lr: list[float] = setting()
    # steps at which weights and gradients are recorded; the last one ends the training
    stops: list[int] = setting(rising=True)
    probe_scale: float = setting()  # the trained networks' weights are multiplied by it, as a probe
    exact_scales: list[float] = setting()  # |a|; both signs are measured
    exact_eps: list[float] = setting(check=not_negative)
    exact_examples: int = setting()  # of the mini-batch
    exact_units: int = setting()


EXPERIMENT = Experiment(
    stem="scale_invariance",
    section="3.3",
    question="Is a layer with BN blind to the scale of its weights?",
    config=ScaleInvarianceConfig,
    gather=gather_cells,
)
