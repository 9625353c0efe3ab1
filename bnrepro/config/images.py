"""The config of the networks of Section 4.2 and of their training."""

from dataclasses import dataclass, field

from bnrepro.config.rules import (
    BATCH,
    below_one,
    choice,
    fraction,
    neutral,
    not_negative,
    setting,
    share,
)
from bnrepro.config.schema import SIDE, EvalConfig, RunConfig, check_mini_batch, steps_of_grid
from bnrepro.errors import UserError


@dataclass
class NetworkConfig:
    """The Inception network of Figure 5."""

    stem: str = choice("imagenet", "tiny", "small")
    width: float = setting(most=8)  # multiplies every number of filters of Figure 5
    norm: str = choice("none", "batch")
    activation: str = choice("sigmoid", "relu")
    separable: bool = setting()  # the first convolution
    stem_norm: bool = setting()  # BN in the layers before the first module
    projection_4cd: int = setting(most=10_000)  # 128 as printed, 96 for the printed sums
    lrn: bool = setting()  # Local Response Normalization
    dropout: float = setting(check=below_one)  # probability, before the classifier
    engine: str = choice("torch", "paper")  # of BN
    eps: float = setting(1e-5, not_negative)  # of BN, inside the root
    bn_momentum: float = setting(0.1, fraction)  # weight of the new mini-batch in moving averages
    init: str = choice("he", "glorot", "caffe", "gaussian", default="he")
    init_std: float = setting(0.01)  # of init=gaussian
    init_gain: float = setting(1.0)  # multiplies the std of the convolutions' initial weights
    # modules at the end, 5b then 5a, whose BN is per activation
    per_activation: int = setting(0, not_negative, most=2)


@dataclass
class RateConfig:
    """SGD with momentum, its rate and L2."""

    lr: float = setting()  # of the plain network; tuned on it alone
    multiplier: float = setting()  # the arm's rate in units of that
    momentum: float = setting(check=below_one)  # 0: none
    batch: int = setting(most=BATCH)  # examples an update and process
    weight_decay: float = setting(check=not_negative)  # L2 on convolution and classifier weights
    weight_decay_divisor: float = setting()  # L2 is divided by it
    decay: str = choice("plain", "fast")
    replicas: int = setting(1)  # R of asynchronous SGD; 1: synchronous
    warm_start: int = setting(0, not_negative)  # updates of one replica before the others join


@dataclass
class BudgetConfig:
    """How long to train and how the rate falls."""

    steps: int = setting()  # T, of the plain network; a step is 32 examples, whatever an update is
    end_share: float = setting(check=fraction)  # the plain network's rate at T over its first
    fast: float = setting()  # times faster that `decay: fast` falls; the run ends as much earlier


@dataclass
class PictureConfig:
    """How training images are shuffled and distorted."""

    shuffle: str = choice("full", "shards", "fixed")
    shards: int = setting(most=1_000_000)  # of shuffle=shards
    shift: int = setting(check=not_negative, most=SIDE)  # pixels
    mirror: bool = setting()  # half of the images, left to right
    photometric: float = setting(check=share)  # strength: brightness, contrast, colour
    examples: int | None = setting(None)  # of the training images, the first; null: all


@dataclass
class ImageEvalConfig(EvalConfig):
    """When networks are evaluated and probed, and on how many test images."""

    test_examples: int = setting()  # of the test images, on the way; all of them at the end
    train_examples: int = setting(0, not_negative)  # of the training images, at the end


@dataclass
class ImageConfig(RunConfig):
    """A network of Section 4.2 and its training."""

    model: NetworkConfig = field(default_factory=NetworkConfig)
    optim: RateConfig = field(default_factory=RateConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    pictures: PictureConfig = field(default_factory=PictureConfig)
    eval: ImageEvalConfig = field(default_factory=ImageEvalConfig)
    # arms of one number share a seed's initial weights, order, Dropout …; of other numbers nothing
    draws: int = setting(0, not_negative)
    checkpoint_every: int = setting(neutral=True)  # steps
    own_rates: dict[str, float] = neutral({})  # what the variants `…_own_rate` take for optim.lr
    # data-parallel ones; how the command was started decides
    processes: int = setting(1, most=100_000)
    sync_bn: bool = False  # BN over the mini-batches of all processes, not over each one's
    precision: str = choice("float32", "bf16", default="float32")  # of convolutions and products
    compile: bool = neutral(False)  # updates through torch.compile
    tensorboard: bool = neutral(False)  # event files beside the rows
    cuda_graphs: bool = neutral(False)  # updates replayed as one CUDA graph; on one GPU alone

    def check(self, prefix: str) -> None:
        """Raise a UserError for values that exclude each other."""
        check_mini_batch(self.model.norm, self.optim.batch)
        if self.optim.replicas > 1 and self.compile:
            raise UserError(
                f"optim.replicas={self.optim.replicas} with compile=true: replicas exchange the "
                "parameters at every update; set compile=false"
            )
        if self.optim.decay == "fast" and self.budget.steps < self.budget.fast:
            steps, fast = self.budget.steps, self.budget.fast
            raise UserError(f"budget.steps={steps}: must be at least budget.fast={fast:g}")
        steps_of_grid(self.eval.grid, self.budget.steps)  # a number of stops that ends

    def unused(self) -> tuple[str, ...]:
        """A plain decay has no other speed, and one initialisation alone has a free scale."""
        plain, gaussian = self.optim.decay == "plain", self.model.init == "gaussian"
        return (*(("budget.fast",) if plain else ()), *(() if gaussian else ("model.init_std",)))
