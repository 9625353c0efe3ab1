"""The settings Section 4.2 does not give for a short run: the base rate and the speed of its decay.

    make inception-grid                                 the searches of a scale, then the figure
    python -m experiments.inception_grid variant=rate   one of them

The rule that reads them stands in `configs/inception_grid.yaml`. Every value is a run like those of
`experiments.inception`, `grid.jobs` of them side by side; a finished one is not run again.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from bnrepro.config.images import ImageConfig
from bnrepro.config.rules import neutral, positive
from bnrepro.errors import UserError
from bnrepro.experiment import Experiment
from bnrepro.training.search import SearchConfig, check_held_out
from experiments.inception_grid.gather import gather_searches

KEYS = {"lr": "optim", "fast": "budget", "multiplier": "optim"}  # and their sections


@dataclass
class InceptionGridConfig(ImageConfig):
    """The search for the base rate and the speed of its decay at a reduced scale."""

    ONE_RECORD: ClassVar[bool] = True

    grid: SearchConfig = field(default_factory=SearchConfig)
    rates: list[float] = neutral([], positive, empty=True)  # a scale's first values of grid.axes.lr
    bn_rates: list[float] = neutral([], positive, empty=True)  # the same of the networks with BN

    def decided(self) -> dict[str, str]:
        """The setting that is searched for."""
        axes = self.grid.axes.keys() & KEYS
        return super().decided() | {f"{KEYS[key]}.{key}": f"grid.axes.{key}" for key in axes}

    def check(self, prefix: str) -> None:
        """Raise a UserError for a search of anything but one known key, for rounds without a step
        and for a look at the test set."""
        super().check(prefix)
        if len(self.grid.axes) != 1 or self.grid.axes.keys() - KEYS:
            named = ", ".join(self.grid.axes)
            raise UserError(f"grid.axes: {named}: give one of {', '.join(KEYS)}")
        check_held_out(self.data)
        speed = self.budget.fast if self.optim.decay == "fast" else 1.0
        self.grid.check_budget(self.budget.steps / max(self.grid.axes.get("fast", [speed])))


EXPERIMENT = Experiment(
    stem="inception_grid",
    section="4.2",
    question="Which base rate and decay: the searches that Figures 2 and 3 stand on",
    config=InceptionGridConfig,
    gather=gather_searches,
)
