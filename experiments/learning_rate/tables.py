"""Tables and answer of Section 3.3's claims on learning rates."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, unique
from bnrepro.evidence.statistics import Above, Values, mean_text, power_text, ratio_text
from bnrepro.evidence.sweeps import (
    accuracy,
    activations,
    best_ends,
    last,
    log_largest_ratio,
    state,
)
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.style import arm, nonlinearity
from bnrepro.plots.sweeps import STATES
from experiments.learning_rate.metrics import (
    ARMS,
    at_largest,
    log_rate_ratio,
    log_steps_ratio,
    networks,
    rows_of,
)

WELL = 0.9  # of the arm's best mean accuracy: this share reads as "trains well"


def shown_network(evidence: Evidence) -> dict[str, int]:
    """4.1's network if it was measured, else the largest."""
    found = networks(evidence, activations(evidence)[0])
    paper = {"depth": 3, "width": 100}
    return paper if paper in found else found[-1]


def times_text(logs: Values, digits: int = 1) -> str:
    """A geometric mean with its interval from logarithms; each value where one is a bound."""
    if not any(log is None or isinstance(log, Above) for log in logs):
        return ratio_text(logs, digits)
    return ", ".join(power_text(log, f".{digits}f") for log in logs)


def cells(evidence: Evidence) -> list[dict[str, Any]]:
    """Activation, depth and width of all networks."""
    return [
        {"activation": activation, **network}
        for activation in activations(evidence)
        for network in networks(evidence, activation)
    ]


def tables(evidence: Evidence) -> list[Table]:
    """Largest rates, then each arm at its best rate, then how networks fail beyond the largest."""
    return [largest_table(evidence), best_table(evidence), failure_table(evidence)]


def largest_table(evidence: Evidence) -> list[list[str]]:
    """A row an activation and network: the largest rate that trains, by seed, and the ratio."""
    header = ["network", *(f"largest rate {arm(name).label}, by seed" for name in ARMS)]
    header += ["ratio [95 %]", f"ratio at {WELL:.0%} of the best accuracy"]
    header += [f"effective step there, {arm(name).label}" for name in ARMS]
    rows = [header]
    for cell in cells(evidence):
        each = [ends(evidence, name, cell) for name in ARMS]
        line = [", ".join(f"{r['lr']:g}" if r else "none" for r in found) for found in each]
        line += [times_text(log_rate_ratio(evidence, cell)), well_ratio(evidence, cell)]
        rows.append([label(cell), *line, *map(effective, each)])
    return rows


def ends(evidence: Evidence, name: str, cell: dict[str, Any]) -> list[Row | None]:
    """Each seed's row at the largest rate that trains."""
    rows = rows_of(evidence, name, cell)
    return [at_largest(rows, seed) for seed in all_seeds(evidence)]


def label(cell: dict[str, Any]) -> str:
    """A network in words."""
    layers = f"{cell['depth']} layer{'s' * (cell['depth'] > 1)} of {cell['width']}"
    return f"{nonlinearity(cell['activation'])}, {layers}"


def effective(found: Sequence[Row | None]) -> str:
    """Geometric mean over seeds of the effective step at the end."""
    logs = [math.log(row["effective_step"]) for row in found if row]
    return f"{math.exp(math.fsum(logs) / len(logs)):.2g}" if logs else "–"


def well_ratio(evidence: Evidence, cell: dict[str, Any]) -> str:
    """Largest rate whose mean accuracy is at least WELL of the arm's best, with BN over without."""
    rates: list[list[float]] = []
    for name in reversed(ARMS):
        by_rate = grouped(last(rows_of(evidence, name, cell)), "lr")
        means = {rate: fmean(map(accuracy, rows)) for rate, rows in by_rate.items()}
        limit = WELL * max(means.values())
        rates += [[rate for rate, mean in means.items() if mean >= limit], [*means]]
    return power_text(log_largest_ratio(*rates))


def best_table(evidence: Evidence) -> list[list[str]]:
    """A row an activation and network: each arm at its best rate, and how much faster BN is."""
    header = ["network, each arm at its best rate", *(f"rate {arm(name).label}" for name in ARMS)]
    header += [f"last accuracy {arm(name).label}, %" for name in ARMS]
    rows = [[*header, "times as fast, in steps"]]
    for cell in cells(evidence):
        chosen = [best_ends(rows_of(evidence, name, cell)) for name in ARMS]
        line = [", ".join(f"{v:g}" for v in sorted(unique(r, "lr"))) for r in chosen]
        line += [mean_text([accuracy(r) for r in each], 1, 100, limits=(0, 1)) for each in chosen]
        rows.append([label(cell), *line, times_text(log_steps_ratio(evidence, cell), 2)])
    return rows


def failure_table(evidence: Evidence) -> list[list[str]]:
    """How the networks end at the rates above the largest that trains, all networks together."""
    rows = [["beyond the largest rate", "networks", *(f"{s}, %" for s in STATES if s != "trained")]]
    for activation in activations(evidence):
        for name in ARMS:
            states = Counter(
                state(row)
                for network in networks(evidence, activation)
                for row in beyond(rows_of(evidence, name, {"activation": activation, **network}))
            )
            total = states.total()
            shares = [f"{100 * states[s] / max(total, 1):.0f}" for s in STATES if s != "trained"]
            rows.append([f"{nonlinearity(activation)}, {arm(name).label}", str(total), *shares])
    return rows


def beyond(rows: Sequence[Row]) -> list[Row]:
    """The last rows at rates above the seed's largest rate that trains."""
    ends = {seed: at_largest(rows, seed) for seed in unique(rows, "seed")}
    return [r for r in last(rows) if (end := ends[r["seed"]]) and r["lr"] > end["lr"]]


def factors(evidence: Evidence) -> str:
    """The ratios of the largest rates for the network of 4.1, as in the table."""
    network = shown_network(evidence)
    ratios = {
        a: log_rate_ratio(evidence, {"activation": a, **network}) for a in activations(evidence)
    }
    return ", ".join(f"{nonlinearity(a)} {times_text(logs)}" for a, logs in ratios.items())


def effective_words(evidence: Evidence) -> str:
    """The geometric means over seeds of the ratios of rates and of effective steps there."""
    network = shown_network(evidence)
    parts = []
    for activation in activations(evidence):
        cell = {"activation": activation, **network}
        plain, bn = (ends(evidence, name, cell) for name in ARMS)
        both = [(a, b) for a, b in zip(plain, bn, strict=True) if a and b]
        if both:
            ratios = [geometric_ratio(both, column) for column in ("lr", "effective_step")]
            name = nonlinearity(activation)
            parts.append(f"{name}: rate {ratios[0]:.1f}, effective step {ratios[1]:.1f}")
    return "; ".join(parts)


def geometric_ratio(pairs: Sequence[tuple[Row, Row]], column: str) -> float:
    """Geometric mean of a column of the second rows over that of the first."""
    return math.exp(math.fsum(math.log(b[column] / a[column]) for a, b in pairs) / len(pairs))


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    network = shown_network(evidence)
    parts = []
    for activation in activations(evidence):
        cell = {"activation": activation, **network}
        ratio, speed = log_rate_ratio(evidence, cell), log_steps_ratio(evidence, cell)
        parts.append(
            f"{label(cell)}: the largest rate that trains is {times_text(ratio)} times as high "
            f"with BN, the largest that trains to {WELL:.0%} of an arm's best accuracy "
            f"{well_ratio(evidence, cell)} times; each at its best rate, BN is "
            f"{times_text(speed, 2)} times as fast"
        )
    return f"{'; '.join(parts)}."
