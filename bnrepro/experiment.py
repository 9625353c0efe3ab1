"""What an experiment declares, and which experiments there are.

An experiment is a folder `experiments/<stem>/` whose `__init__.py` defines EXPERIMENT. The other
modules of the folder are imported when they are needed, for PyTorch and Matplotlib take seconds:

    measure.py   `run(cfg)`: measures or trains, and leaves run records
    metrics.py   what its claims name: functions (evidence, claim) -> values; no PyTorch
    figures.py   FIGURES, `tables` and `answer`, from evidence alone; no PyTorch
"""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from bnrepro import ROOT
from bnrepro.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bnrepro.evidence.evidence import Evidence

Table = Sequence[Sequence[str]]  # rows of cells, the header first
Gather = Callable[[Mapping[str, Path], Sequence[int] | None], "Evidence"]


class Measure(Protocol):
    """The module `measure.py` of an experiment."""

    def run(self, cfg: Any) -> None:
        """Measure or train what the config says and leave run records."""


class Figures(Protocol):
    """The module `figures.py` of an experiment."""

    FIGURES: Mapping[str, Callable[["Evidence"], "Figure"]]  # by file name; the first one leads

    def tables(self, evidence: "Evidence") -> list[Table]:
        """The tables of table.md; a terminal shows the head of the first one."""

    def answer(self, evidence: "Evidence") -> str:
        """What came out, in one sentence."""


@dataclass(frozen=True)
class Experiment:
    """What an experiment declares."""

    stem: str  # its name in every path and command
    section: str  # of the paper
    question: str  # what it asks, in one sentence
    config: type[Any]  # the dataclass of its config
    gather: Gather  # makes evidence of its finished runs' folders, by arm
    side_by_side: int = 1  # arms that `make` trains at once, on at least a core each
    # of a run's last accuracy, for `make verify`; None: claims are compared instead
    tolerance: float | None = None
    data_parallel: bool = False  # whether several processes may share a run

    @property
    def measure(self) -> Measure:
        """The module that measures or trains."""
        return cast(Measure, self._module("measure"))

    @property
    def figures(self) -> Figures:
        """The module that draws figures and tables."""
        return cast(Figures, self._module("figures"))

    @property
    def metrics(self) -> ModuleType:
        """The module that computes what the claims name."""
        return self._module("metrics")

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"experiments.{self.stem}.{name}")


def stems() -> list[str]:
    """The names of all experiments, by listing the folder."""
    return sorted(path.parent.name for path in (ROOT / "experiments").glob("*/__init__.py"))


def discover() -> dict[str, Experiment]:
    """All experiments by their names. Raises a UserError for a folder that declares none."""
    return {stem: _declared(stem) for stem in stems()}


@functools.cache
def _declared(stem: str) -> Experiment:
    experiment = getattr(importlib.import_module(f"experiments.{stem}"), "EXPERIMENT", None)
    if not isinstance(experiment, Experiment) or experiment.stem != stem:
        raise UserError(
            f"experiments/{stem}/__init__.py: must define EXPERIMENT = Experiment("
            f'stem="{stem}", …), as experiments/README.md says; or remove the folder'
        )
    return experiment


def find(stem: str) -> Experiment:
    """The experiment of that name. Raises a UserError that lists all names."""
    if stem not in stems():
        raise UserError(f"{stem}: no such experiment; there are {', '.join(stems())}")
    return _declared(stem)
