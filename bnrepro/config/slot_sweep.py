"""The config of a sweep over small networks: arms × axes × seeds × probes.

    sweep:                                # blocks: the rows of each are a table of the evidence
      rates:                              # every combination of its axes, for every seed
        arm: [baseline, bn]
        hidden: [[100], [100, 100, 100]]
        lr: [0.1, 1.0, 10.0]

An axis is a setting of a slot (networks that differ in it train side by side), or something that
all networks of a cell share: the arm, a key of `model` or `optim`, `train_images`, or an axis that
the experiment declares. A block may have `stops` of its own.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bnrepro.config.rules import Rule, not_negative, rule_of, setting, validate_value
from bnrepro.config.schema import ModelConfig, OptimConfig, SweepConfig
from bnrepro.errors import UserError

SLOT_AXES = ("lr", "init_std", "weight_decay", "dropout")  # the settings of a slot but its seed
SHARED = (ModelConfig, OptimConfig)  # whose keys all networks of a cell may share
ARMS = {"baseline": "none", "bn": "batch"}  # and what normalises their hidden layers


@dataclass
class SlotSweepConfig(SweepConfig):
    """Networks of Section 4.1, trained as slots; `model` and `optim` hold what no axis sets."""

    OWN_AXES: ClassVar[tuple[str, ...]] = ()  # of the experiment: its hooks give them a meaning
    OWN_ARMS: ClassVar[tuple[str, ...]] = ()  # their transform comes from the experiment's hooks
    PROBES: ClassVar[tuple[str, ...]] = ("units", "weights")

    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    sweep: dict[str, Any] = setting(check=None)  # blocks of axes
    # steps after which each network leaves a row; 0: as initialised
    stops: list[int] = setting(check=not_negative, rising=True)
    probes: list[str] = setting(check=None, empty=True)  # what is measured beside the accuracy
    probe_examples: int = setting()  # training images of population statistics and probes
    test_examples: int | None = setting()  # images evaluated on; null: all
    slots: int = setting()  # networks of one cell at most

    def unused(self) -> tuple[str, ...]:
        """The rate, an axis of every block."""
        return ("optim.lr",)

    def check(self, prefix: str) -> None:
        """Raise a UserError that names the first axis, value or probe that does not exist."""
        for name in self.probes:
            if name not in self.PROBES:
                raise UserError(f"probes={name}: allowed are {', '.join(self.PROBES)}")
        for block, axes in self.sweep.items():
            for key, values in axes.items():
                self._check_axis(f"sweep.{block}.{key}", key, values)
            for key in ("arm", "lr"):
                if key not in axes:
                    raise UserError(f"sweep.{block}.{key}: give its values")

    def shared_axes(self) -> list[str]:
        """What all networks of a cell may share."""
        keys = [f.name for kind in SHARED for f in dataclasses.fields(kind)]
        shared = [key for key in keys if key not in ("norm", *SLOT_AXES)]
        return ["arm", *shared, "train_images", *self.OWN_AXES]

    def _check_axis(self, place: str, key: str, values: Any) -> None:
        if key == "stops":
            validate_value(place, values, Rule(not_negative, rising=True))
            return
        if key not in (allowed := [*SLOT_AXES, *self.shared_axes()]):
            raise UserError(f"{place}: no such axis; allowed are {', '.join(allowed)}")
        if not isinstance(values, list) or not values:
            raise UserError(f"{place}={values}: name at least one")
        if key == "arm" and (bad := set(values) - {*ARMS, *self.OWN_ARMS}):
            allowed = [*ARMS, *self.OWN_ARMS]
            raise UserError(f"{place}={min(bad)}: allowed are {', '.join(allowed)}")
        rules = {f.name: rule_of(f) for kind in SHARED for f in dataclasses.fields(kind)}
        for value in values if key in rules and key not in SLOT_AXES else []:
            validate_value(place, value, rules[key])
        end = 1.0 if key == "dropout" else math.inf
        sound = all(isinstance(v, int | float) and 0 <= v < end for v in values)
        if key in SLOT_AXES and not sound:
            raise UserError(f"{place}={values}: each must be a number, 0 or greater")
