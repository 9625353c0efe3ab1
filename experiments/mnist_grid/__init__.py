"""The settings Section 4.1 does not give: a grid of learning rate × initial standard deviation.

    make mnist-grid                                     every arm, then the heat maps
    python -m experiments.mnist_grid variant=bn         one arm

The rule that reads the grid stands in `configs/mnist_grid.yaml`. Every cell of every seed trains
side by side in one process, as slots. Each round (the first grid, every extension, the finalists)
leaves one record with a row a cell, seed and evaluated step.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from bnrepro.errors import UserError
from bnrepro.experiment import Experiment
from bnrepro.training.search import SearchConfig, check_held_out
from experiments.mnist import MnistConfig
from experiments.mnist_grid.gather import gather_grid


@dataclass
class MnistGridConfig(MnistConfig):
    """The search for rate and initial standard deviation that Section 4.1 leaves open."""

    ONE_RECORD: ClassVar[bool] = True

    grid: SearchConfig = field(default_factory=SearchConfig)

    def networks(self) -> int:
        """All seeds of all cells train together."""
        return self.grid.cells() * super().networks()

    def decided(self) -> dict[str, str]:
        """The settings that are an axis."""
        keys = {"optim.lr": "grid.axes.lr", "model.init_std": "grid.axes.init_std"}
        swept = {key: axis for key, axis in keys.items() if axis.split(".")[-1] in self.grid.axes}
        return super().decided() | swept

    def check(self, prefix: str) -> None:
        """Raise a UserError for an axis that is no setting of a slot, or a look at the test set."""
        super().check(prefix)
        for key in self.grid.axes.keys() - {"lr", "init_std"}:
            raise UserError(f"grid.axes.{key}: no such key; allowed here are lr, init_std")
        check_held_out(self.data)
        if self.tensorboard:
            raise UserError(f"{prefix}tensorboard=true: this search writes no event files")
        if self.duration.epochs is None:
            self.grid.check_budget(self.duration.in_steps(self.optim.batch, 0))


EXPERIMENT = Experiment(
    stem="mnist_grid",
    section="4.1",
    question="Which learning rate and initial std: the search that Figure 1 stands on",
    config=MnistGridConfig,
    gather=gather_grid,
    side_by_side=2,
)
