"""The config of Section 4.2's networks. Values stand in `configs/inception.yaml` and its deltas."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from bnrepro.config import EvalConfig, RunConfig


@dataclass
class NetworkConfig:
    stem: str = MISSING  # imagenet | tiny | small
    width: float = MISSING  # multiplies every number of filters of Figure 5
    norm: str = MISSING  # none | batch
    activation: str = MISSING  # relu | sigmoid
    separable: bool = MISSING  # the first convolution
    stem_norm: bool = MISSING
    projection_4cd: int = MISSING  # 128 as printed, 96 for the printed sums
    lrn: bool = MISSING
    dropout: float = MISSING
    engine: str = MISSING  # of BN: torch | paper
    eps: float = MISSING  # of BN, inside the root
    bn_momentum: float = MISSING  # weight of the new mini-batch in BN's moving averages


@dataclass
class RateConfig:
    lr: float = MISSING  # of the plain network; tuned on it alone
    multiplier: float = MISSING  # the arm's rate in units of that
    momentum: float = MISSING
    batch: int = MISSING  # examples an update and process
    weight_decay: float = MISSING  # L2 on convolution and classifier weights
    weight_decay_divisor: float = MISSING
    decay: str = MISSING  # plain | fast


@dataclass
class BudgetConfig:
    steps: int = MISSING  # T, of the plain network; a step is 32 examples, in however many updates
    end_share: float = MISSING  # the plain network's rate at T, as a share of its start
    fast: float = MISSING  # how many times faster `decay: fast` falls; the run ends as much earlier


@dataclass
class PictureConfig:
    shuffle: str = MISSING  # fixed | shards | full
    shards: int = MISSING
    shift: int = MISSING  # pixels
    mirror: bool = MISSING
    photometric: float = MISSING


@dataclass
class InceptionEvalConfig(EvalConfig):
    test_examples: int = MISSING  # of the test images, on the way; all of them at the end


@dataclass
class InceptionConfig(RunConfig):
    model: NetworkConfig = field(default_factory=NetworkConfig)
    optim: RateConfig = field(default_factory=RateConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    pictures: PictureConfig = field(default_factory=PictureConfig)
    eval: InceptionEvalConfig = field(default_factory=InceptionEvalConfig)
    checkpoint_every: int = MISSING  # steps
    processes: int = 1  # data-parallel ones; how the command was started decides
    sync_bn: bool = MISSING  # BN over the mini-batches of all processes, not over each one's own
    precision: str = MISSING  # float32 | bf16 (of convolutions and products; statistics float32)
    compile: bool = MISSING  # updates through torch.compile
    cuda_graphs: bool = MISSING  # updates replayed as one CUDA graph; on one GPU alone


@dataclass
class SearchConfig:
    """Values of one key, a run each; see configs/inception_grid.yaml for the rule."""

    key: str = MISSING  # optim.lr | budget.fast | optim.multiplier
    values: list[float] = MISSING
    factor: float = MISSING  # a grid extended at its edge grows by it; 1: never extended
    max_extensions: int = MISSING
    finalists: int | None = MISSING  # best values of the short round, run anew with all the budget
    # null: one round with all the budget
    short: float = MISSING  # share of the budget in the short round
    jobs: int = MISSING  # runs side by side


@dataclass
class InceptionGridConfig(InceptionConfig):
    """The search for the base rate and the speed of its decay at a reduced scale."""

    grid: SearchConfig = field(default_factory=SearchConfig)


INCEPTIONS: dict[str, type[RunConfig]] = {
    "inception": InceptionConfig,
    "inception_grid": InceptionGridConfig,
}
