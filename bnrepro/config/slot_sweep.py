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
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args, get_type_hints

from bnrepro.config.rules import (
    Rule,
    below_one,
    not_negative,
    positive,
    rule_of,
    setting,
    shown,
    twice,
    validate_value,
)
from bnrepro.config.schema import ModelConfig, OptimConfig, SweepConfig
from bnrepro.errors import UserError

Axis = tuple[Any, Rule]  # the type of its values, and what they may be
# the settings of a slot but its seed
SLOT_AXES = {
    key: (float, Rule(check))
    for key, check in {
        "lr": not_negative,
        "init_std": not_negative,
        "weight_decay": not_negative,
        "dropout": below_one,
    }.items()
}
ARMS = {"baseline": "none", "bn": "batch"}  # and what normalises their hidden layers
WORDS = {float: "a number", int: "a whole number", str: "a name"}


@dataclass
class SlotSweepConfig(SweepConfig):
    """Networks of Section 4.1, trained as slots; `model` and `optim` hold what no axis sets."""

    OWN_AXES: ClassVar[dict[str, Axis]] = {}  # of the experiment: its hooks give them a meaning
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

    def decided(self) -> dict[str, str]:
        """The settings that are an axis of every block."""
        first, *_ = [*self.sweep, ""]
        found = super().decided() | {"model.norm": f"sweep.{first}.arm"}
        for section, kind in (("model", ModelConfig), ("optim", OptimConfig)):
            for name in (f.name for f in dataclasses.fields(kind)):
                if all(name in axes for axes in self.sweep.values()):
                    found[f"{section}.{name}"] = f"sweep.{first}.{name}"
        return found

    def check(self, prefix: str) -> None:
        """Raise a UserError that names the first axis, value or probe that does not exist."""
        for name in self.probes:
            if name not in self.PROBES:
                raise UserError(f"probes={name}: allowed are {', '.join(self.PROBES)}")
        if not self.sweep:
            raise UserError("sweep={}: name at least one block")
        for block, axes in self.sweep.items():
            if not isinstance(axes, dict):
                raise UserError(f"sweep.{block}={shown(axes)}: give its axes, each with its values")
            for key, values in axes.items():
                self._check_axis(f"sweep.{block}.{key}", key, values)
            for key in ("arm", "lr"):
                if key not in axes:
                    raise UserError(f"sweep.{block}.{key}: give its values")

    def axes(self) -> dict[str, Axis]:
        """Every axis there is: of slots, and what all networks of a cell may share."""
        shared: dict[str, Axis] = {"arm": (str, Rule(choices=(*ARMS, *self.OWN_ARMS)))}
        for kind in (ModelConfig, OptimConfig):
            hints = get_type_hints(kind)
            shared |= {f.name: (hints[f.name], rule_of(f)) for f in dataclasses.fields(kind)}
        del shared["norm"]  # the arm decides
        return shared | SLOT_AXES | {"train_images": (int, Rule(positive))} | self.OWN_AXES

    def _check_axis(self, place: str, key: str, values: Any) -> None:
        if key != "stops" and key not in self.axes():
            raise UserError(f"{place}: no such axis; allowed are {', '.join(self.axes())}")
        if not isinstance(values, list) or not values:
            raise UserError(f"{place}={shown(values)}: name at least one value, in a list")
        if key == "stops":
            check_type(place, values, list[int])
            validate_value(place, values, Rule(not_negative, rising=True))
            return
        kind, rule = self.axes()[key]
        for value in values:
            check_type(place, value, kind)
            validate_value(place, value, rule)
        if (double := twice([str(value) for value in values])) is not None:
            raise UserError(f"{place}={shown(values)}: names {double} twice")


def check_type(place: str, value: Any, kind: Any) -> None:
    """Raise a UserError for a value that is not of this type; a whole number is a number too."""
    (element,) = get_args(kind) or (kind,)
    found = value if kind != element and isinstance(value, list) else [value]
    allowed = (int, float) if element is float else (element,)
    if (kind != element) != isinstance(value, list) or any(type(v) not in allowed for v in found):
        many = "a list, each of it " if kind != element else ""
        raise UserError(f"{place}={shown(value)}: must be {many}{WORDS[element]}")
