"""Section 4.2: in which regime does BN need how many times fewer steps?

    make speedup                                  the map over rates, initialisations and replicas
    make speedup ARGS="seeds=1"                   a first map

The rule stands in `configs/speedup.yaml`. To expect: about twice as fast where both networks are at
their best with synchronous SGD; many times as fast where the gradients are those of replicas that
take turns, as in the paper's training, because the plain network then needs a far lower rate.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from bnrepro.config.images import ImageConfig
from bnrepro.config.rules import choice, not_negative, setting, validate_fields
from bnrepro.config.schema import PROCESSES
from bnrepro.evidence.gather import gather_cells
from bnrepro.experiment import Experiment


@dataclass
class Regime:
    """How networks are initialised and trained, and at which places both arms are tried."""

    name: str = ""
    plain: list[int] = setting(check=None, empty=True)  # places k of the rates, without BN
    bn: list[int] = setting(check=None, empty=True)  # with BN
    init: str = choice("he", "glorot", "caffe", "gaussian", default="he")
    replicas: int = setting(1)  # R of asynchronous SGD
    momentum: float = setting(0.9, not_negative)
    warm_start: int = setting(0, not_negative)  # updates of one replica before the others join
    recipe: str = choice("clean", "paper", default="clean")  # of the plain network
    steps: int | None = setting(None)  # T of its plain cells; null: the shared one
    budgets: list[int] = setting([], rising=True, empty=True)  # of BN's cells; none: the shared


@dataclass
class SpeedupConfig(ImageConfig):
    """The map: a cell is a network trained with a budget of its own."""

    ONE_RECORD: ClassVar[bool] = True

    budgets: list[int] = setting(rising=True)  # steps of the cells with BN
    regimes: list[Regime] = field(default_factory=list)  # each with its rates and its own networks
    jobs: int = setting(1, neutral=True, most=PROCESSES)  # cells side by side

    def decided(self) -> dict[str, str]:
        """What a regime or an arm sets."""
        sections = {
            "model": ["norm", "init"],
            "optim": ["lr", "momentum", "replicas", "warm_start"],
        }
        set_by = {f"{name}.{key}": "regimes" for name, keys in sections.items() for key in keys}
        return super().decided() | set_by

    def check(self, prefix: str) -> None:
        """Hold every regime to its rules."""
        super().check(prefix)
        for i, regime in enumerate(self.regimes):
            validate_fields(regime, f"{prefix}regimes.{i}.")


def rate(place: int) -> float:
    """The learning rate of a place: 0.0015·5^(k/2)."""
    return float(f"{0.0015 * 5 ** (place / 2):.3g}")


def describe(regime: Regime) -> dict[str, Any]:
    """The columns of a row that say which regime it is of."""
    return {
        "regime": regime.name, "init": regime.init, "replicas": regime.replicas,
        "momentum": regime.momentum, "warm_start": regime.warm_start, "recipe": regime.recipe,
    }  # fmt: skip


EXPERIMENT = Experiment(
    stem="speedup",
    section="4.2",
    question="In which regime does BN need how many times fewer steps?",
    config=SpeedupConfig,
    gather=gather_cells,
)
