"""Tables and answer of the claims on initialisation."""

import math
from collections.abc import Iterable

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import mean_text
from bnrepro.evidence.steps import steps_text
from bnrepro.evidence.sweeps import accuracy, activations, best_cell
from bnrepro.experiment import Table
from bnrepro.plots.style import arm, nonlinearity
from experiments.initialization.metrics import (
    ARMS,
    REACH,
    by_std,
    case_accuracy,
    decades,
    plain_best,
    plateau_steps,
    reaching,
)

CASE_NAMES = {
    "normal": "normal start",
    "layer_up": "one layer × 10",
    "layer_down": "one layer ÷ 10",
    "biases": "all biases (β) at 2",
    "classifier": "output weights at 0",
}


def tables(evidence: Evidence) -> list[Table]:
    """Ranges of the standard deviation, accuracies by value, bad starts, the plateau."""
    return [
        range_table(evidence),
        *(accuracy_table(evidence, activation) for activation in activations(evidence)),
        case_table(evidence),
        plateau_table(evidence),
    ]


def ranges(evidence: Evidence, name: str, activation: str, rates: str) -> list[list[float]]:
    """The standard deviations that reach the target, for each seed."""
    found = []
    for seed in all_seeds(evidence):
        target = REACH * accuracy(plain_best(evidence, activation, seed))
        found.append(reaching(by_std(evidence, name, activation, seed, rates), target))
    return found


def width_range(evidence: Evidence, name: str, activation: str, rates: str = "plain") -> str:
    """Mean over seeds of the width in decades; a bound where the grid ends first."""
    each = ranges(evidence, name, activation, rates)
    mean = math.fsum(decades(stds) for stds in each) / len(each)
    grid = unique(evidence.tables[activation], "init_std")
    bound = any({min(grid), max(grid)} & set(stds) for stds in each)
    return f"{'≥ ' * bound}{mean:.1f}"


def range_table(evidence: Evidence) -> list[list[str]]:
    """A row an activation and arm: best setting, and the ranges that reach the target."""
    header = [f"reaching {REACH:.0%} of the plain network's best accuracy",
              "best rate, std by seed", "decades at the plain network's best rate",
              "from, to by seed", "decades at the best rate for each value"]  # fmt: skip
    rows = [header]
    for activation, name in networks(evidence):
        each = ranges(evidence, name, activation, "plain")
        limits = [f"{min(stds):g} – {max(stds):g}" if stds else "none" for stds in each]
        plain, own = (width_range(evidence, name, activation, rates) for rates in ("plain", "own"))
        label = f"{nonlinearity(activation)}, {arm(name).label}"
        settings = best_settings(evidence, name, activation)
        rows.append([label, settings, plain, ", ".join(limits), own])
    return rows


def networks(evidence: Evidence) -> list[tuple[str, str]]:
    """Activation and arm of the networks that were measured."""
    return [(activation, name) for activation in activations(evidence) for name in ARMS]


def best_settings(evidence: Evidence, name: str, activation: str) -> str:
    """The different best settings of an arm over seeds, rate and standard deviation."""
    grid = evidence.where(activation, arm=name)
    cells = [best_cell(grid, ["lr", "init_std"], seed) for seed in all_seeds(evidence)]
    return "; ".join(dict.fromkeys(f"{c['lr']:g}, {c['init_std']:g}" for c in cells))


def accuracy_table(evidence: Evidence, activation: str) -> list[list[str]]:
    """A row a standard deviation: mean accuracy of both arms at both choices of the rate."""
    header = [f"{nonlinearity(activation)}: accuracy, %, from the initial std"]
    columns = []
    for rates, choice in (("plain", "plain network's best rate"), ("own", "best rate for each")):
        for name in ARMS:
            header.append(f"{arm(name).label}, {choice}")
            each = [by_std(evidence, name, activation, s, rates) for s in all_seeds(evidence)]
            columns.append([accuracy_text(map(accuracy, at)) for at in zip(*each, strict=True)])
    stds = sorted(unique(evidence.tables[activation], "init_std"))
    return [header, *([f"{std:g}", *cells] for std, *cells in zip(stds, *columns, strict=True))]


def accuracy_text(values: Iterable[float]) -> str:
    """Mean and interval of accuracies, in per cent."""
    return mean_text([*values], 1, 100, limits=(0, 1))


def case_table(evidence: Evidence) -> list[list[str]]:
    """A row a start: last accuracy of each activation and arm, at the best rate for that start."""
    shown, seeds = networks(evidence), all_seeds(evidence)
    rows = [["accuracy, %", *(f"{nonlinearity(a)}, {arm(name).label}" for a, name in shown)]]
    for case, label in CASE_NAMES.items():
        each = ([case_accuracy(evidence, name, a, case, s) for s in seeds] for a, name in shown)
        rows.append([label, *map(accuracy_text, each)])
    return rows


def plateau_table(evidence: Evidence) -> list[list[str]]:
    """A row a standard deviation: steps on the initial plateau, by seed."""
    rows = [["steps on the plateau, by seed", *(arm(name).label for name in ARMS)]]
    for std in sorted(unique(evidence.plateau, "init_std")):
        cells = (", ".join(plateau_texts(evidence, name, std)) for name in ARMS)
        rows.append([f"initial std {std:g}", *cells])
    return rows


def plateau_texts(evidence: Evidence, name: str, std: float) -> list[str]:
    """Each seed's steps on the plateau; a bound where the budget ends first."""
    budget = max(row["step"] for row in evidence.plateau)
    each = (plateau_steps(evidence, name, std, seed) for seed in all_seeds(evidence))
    return [steps_text(steps, budget) for steps in each]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = (f"{name}: {widths}" for name, widths in width_words(evidence).items())
    return (
        f"Width of the range of initial standard deviations that reach {REACH:.0%} of the plain "
        f"network's best accuracy at its best rate: {'; '.join(parts)}; "
        f"sigmoid, {plateau_words(evidence)}."
    )


def width_words(evidence: Evidence) -> dict[str, str]:
    """The widths of the ranges at the plain network's best rate in words, by activation."""
    return {
        nonlinearity(a): f"{width_range(evidence, 'bn', a)} decades with BN, "
        f"{width_range(evidence, 'baseline', a)} without"
        for a in activations(evidence)
    }


def plateau_words(evidence: Evidence) -> str:
    """The steps on the plateau from the smallest standard deviation, in words."""
    std = min(unique(evidence.plateau, "init_std"))
    plain, bn = (" or ".join(dict.fromkeys(plateau_texts(evidence, n, std))) for n in ARMS)
    return f"std {std:g}: {plain} steps on the plateau without BN, {bn} with BN"
