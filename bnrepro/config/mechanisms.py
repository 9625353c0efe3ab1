"""Configs of the experiments on Sections 1 to 3; each is one sweep.

Every value stands in `configs/<stem>.yaml` or its scale files, with its unit or section.
"""

from dataclasses import dataclass

from omegaconf import MISSING

from bnrepro.config import RunConfig


@dataclass
class BiasGrowthConfig(RunConfig):
    """Section 2: normalisation outside the gradient step."""

    hidden: list[int] = MISSING
    init_std: float = MISSING  # of the Gaussian initial weights
    eps: float = MISSING  # inside the root of Algorithm 1, line 3
    batch: int = MISSING  # examples a step
    activations: list[str] = MISSING  # sigmoid | relu
    lr: list[float] = MISSING
    every: list[int] = MISSING  # steps between refreshes of the statistics
    stops: list[int] = MISSING  # steps at which the trained networks are recorded; the last ends
    exact_examples: int = MISSING  # "the full data" of the exact part
    exact_steps: int = MISSING
    exact_record_every: int = MISSING  # steps
    exact_lr: float = MISSING


@dataclass
class ScaleInvarianceConfig(RunConfig):
    """Section 3.3: the scale of the weights."""

    hidden: list[int] = MISSING
    init_std: float = MISSING  # of the Gaussian initial weights
    eps: float = MISSING  # of the trained networks
    batch: int = MISSING  # examples a step
    lr: list[float] = MISSING
    stops: list[int] = MISSING  # steps at which weights and gradients are recorded; the last ends
    probe_scale: float = MISSING  # the trained networks' weights are multiplied by it, as a probe
    exact_scales: list[float] = MISSING  # |a|; both signs are measured
    exact_eps: list[float] = MISSING
    exact_examples: int = MISSING  # of the mini-batch
    exact_units: int = MISSING


@dataclass
class InferenceConfig(RunConfig):
    """Section 3.1: from mini-batch statistics to population statistics."""

    hidden: list[int] = MISSING
    init_std: float = MISSING  # of the Gaussian initial weights
    eps: float = MISSING  # inside the root of Algorithm 1, line 3
    bn_momentum: float = MISSING  # weight of the new mini-batch in the moving averages
    lr: float = MISSING
    batches: list[int] = MISSING  # m, examples a step
    stops: list[int] = MISSING  # examples seen, at which accuracy is measured; the last ends
    population_examples: int = MISSING  # training images of Algorithm 2, line 10
    regroupings: int = MISSING  # random divisions of the test images into mini-batches
    company_examples: int = MISSING  # test images followed through them
    timed_examples: int = MISSING
    timed_repetitions: int = MISSING
    enumerated_values: int = MISSING  # of the population whose mini-batches are all written out
    enumerated_batches: list[int] = MISSING


@dataclass
class PlacementConfig(RunConfig):
    """Section 3.2: where Batch Normalization goes."""

    hidden: list[int] = MISSING
    activations: list[str] = MISSING  # sigmoid | relu
    init_std: float = MISSING  # of the Gaussian initial weights
    eps: float = MISSING  # inside the root of Algorithm 1, line 3
    batch: int = MISSING  # examples a step
    lr: list[float] = MISSING
    shape_lr: float = MISSING  # the rate, one of lr, at which distributions are followed
    stops: list[int] = MISSING  # steps at which distributions are measured; the last ends
    probe_examples: int = MISSING  # training images on which they are measured
    population_examples: int = MISSING  # training images whose statistics serve at test time
    conv_channels: list[int] = MISSING
    conv_kernel: int = MISSING  # pixels a side
    conv_lr: float = MISSING
    conv_steps: int = MISSING
    exact_examples: int = MISSING  # mini-batch of the float64 identities
    exact_eps: list[float] = MISSING


@dataclass
class JacobianConfig(RunConfig):
    """Section 3.3: the singular values of layer Jacobians."""

    widths: list[int] = MISSING  # units of every hidden layer
    hidden_layers: int = MISSING
    activations: list[str] = MISSING  # sigmoid | relu
    lr: list[float] = MISSING  # a rate an activation, the same for both arms
    init_std: float = MISSING  # of the Gaussian initial weights
    eps: float = MISSING  # inside the root of Algorithm 1, line 3
    batch: int = MISSING  # examples a step
    stops: list[int] = MISSING  # steps at which Jacobians are measured; 0: as initialised
    probe_examples: int = MISSING  # training images that give the statistics
    jacobian_examples: int = MISSING  # of these, how many get a Jacobian of their own


@dataclass
class WhiteningConfig(RunConfig):
    """Section 2: full whitening against normalising each unit by itself."""

    hidden: list[int] = MISSING
    init_std: float = MISSING  # of the Gaussian initial weights
    eps: float = MISSING  # of BN, and the ridge of whitening where it is not varied
    batch: int = MISSING  # examples a step, four times the width
    large_batch: int = MISSING  # for BN and whitening: how much is the covariance's noise?
    small_batch: int = MISSING  # fewer examples than units
    ridges: list[float] = MISSING  # added to the covariance's diagonal
    lr: list[float] = MISSING  # the rates every arm is tuned over
    tuning_seed: int = MISSING  # a seed that is not reported
    tuning_images: int = MISSING  # held out of training, on which rates are compared
    stops: list[int] = MISSING  # steps at which accuracy is measured; the last ends
    population_examples: int = MISSING  # training images whose statistics serve at test time
    timed_steps: int = MISSING  # of a stretch
    timed_stretches: int = MISSING
    cost_widths: list[int] = MISSING
    cost_repeats: list[int] = MISSING  # a number a width; the median counts
    cost_examples: int = MISSING  # of the mini-batch, at every width


MECHANISMS: dict[str, type[RunConfig]] = {
    "bias_growth": BiasGrowthConfig,
    "scale_invariance": ScaleInvarianceConfig,
    "inference": InferenceConfig,
    "placement": PlacementConfig,
    "jacobian": JacobianConfig,
    "whitening": WhiteningConfig,
}
