"""Commands that several tests share the runs of, and what their figures and tables show."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.config.compose import compose, variants
from bnrepro.evidence import Evidence
from bnrepro.experiment import Table, find
from bnrepro.run.arms import compose_arms


class Arms(Mapping[str, Any]):
    """The configs of an experiment's arms by name, each composed when it is asked for."""

    def __init__(self, stem: str, *overrides: str) -> None:
        self.stem, self.overrides = stem, overrides

    def __getitem__(self, variant: str) -> Any:
        if variant not in variants(self.stem):
            raise KeyError(variant)
        return compose(self.stem, [*self.overrides, f"variant={variant}"])

    def __iter__(self) -> Iterator[str]:
        return iter(variants(self.stem))

    def __len__(self) -> int:
        return len(variants(self.stem))


def more(*cases: Any) -> list[Any]:
    """Cases of what other cases show already: `make test PYTEST="-m thorough"` tries them."""
    marks = pytest.mark.thorough
    each = (case if isinstance(case, tuple) else (case,) for case in cases)
    return [pytest.param(*values, marks=marks) for values in each]


def some(cases: Iterable[Any], every: int) -> list[Any]:
    """Every so many of the cases; the others are `more`."""
    each = list(cases)
    return [case if i % every == 0 else more(case)[0] for i, case in enumerate(each)]


def call(command: Callable[[], object], arguments: Sequence[str]) -> None:
    """Run a command in this process, as the fixture `run` does, for a whole module of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.setattr(sys, "argv", ["command", *arguments])
        command()


def evidence_of(experiment: str, overrides: Sequence[str]) -> Evidence:
    """The evidence that `scripts.render` draws."""
    arms = compose_arms(experiment, overrides)
    return find(experiment).gather(arms.folders, arms.seeds)


def drawn(experiment: str, evidence: Evidence) -> dict[str, Figure]:
    """Every figure by its file's name."""
    figures = {name: draw(evidence) for name, draw in find(experiment).figures.FIGURES.items()}
    plt.close("all")  # they stay what they are, without a window
    return figures


def legend(part: Axes | Figure) -> list[str]:
    """The labels of a legend, in order."""
    shown = part.get_legend() if isinstance(part, Axes) else part.legends[0]
    assert shown is not None
    return [text.get_text() for text in shown.get_texts()]


def line(axis: Axes, label: str) -> tuple[list[float], list[float]]:
    """The points of the one line with that label."""
    (found,) = [each for each in axis.get_lines() if each.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def tables_of(path: Path) -> list[Table]:
    """The tables of a table.md, the header first, without the line below it."""
    blocks = path.read_text("utf-8").strip().split("\n\n")
    rows = [[row.strip("| ").split(" | ") for row in b.splitlines()] for b in blocks]
    assert all(set("".join(table[1])) <= set("-:") for table in rows)
    return [[table[0], *table[2:]] for table in rows]
