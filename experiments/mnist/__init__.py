"""Section 4.1, Figure 1: does Batch Normalization make a sigmoid MLP train faster, end higher and
keep the inputs of its nonlinearities stable?

    make mnist                                          every arm, then the figure and the table
    python -m experiments.mnist variant=bn seeds=3      one arm

All seeds of an arm train at once, as slots of one batched network. What to expect, in minutes and
numbers, stands in the README, inserted from the committed record.
"""

from dataclasses import dataclass, field

from bnrepro.config.rules import neutral, setting
from bnrepro.config.schema import (
    DurationConfig,
    EvalConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    check_mini_batch,
    check_networks,
    seed_list,
    steps_of_grid,
)
from bnrepro.evidence.gather import gather_runs
from bnrepro.experiment import Experiment


@dataclass
class MnistConfig(RunConfig):
    """Section 4.1: a multilayer perceptron on binary digits."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    duration: DurationConfig = field(default_factory=DurationConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    checkpoint_every: int = setting(neutral=True)  # steps
    tensorboard: bool = neutral(False)  # event files beside the rows

    def networks(self) -> int:
        """How many train together."""
        return len(seed_list(self.seeds))

    def check(self, prefix: str) -> None:
        """Raise a UserError for mini-batches of one with BN, and for sizes without end."""
        check_mini_batch(self.model.norm, self.optim.batch)
        check_networks(self.model.hidden, self.optim.batch, self.networks(), "model.")
        if self.duration.epochs is None:
            steps_of_grid(self.eval.grid, self.duration.in_steps(self.optim.batch, 0))


EXPERIMENT = Experiment(
    stem="mnist",
    section="4.1",
    question="Figure 1: does a sigmoid MLP train faster, higher and more stably with BN?",
    config=MnistConfig,
    gather=gather_runs,
    side_by_side=4,  # at this size a second thread mostly waits for the first
    tolerance=0.005,  # of the last accuracy: about five standard deviations between seeds
)
