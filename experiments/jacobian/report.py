"""Section 3.3's conjecture in figures and tables: singular values of layer Jacobians."""

from collections.abc import Sequence
from typing import Any

from bnrepro.evidence.statistics import t_interval
from bnrepro.evidence.sweep_evidence import SweepEvidence, gather, read, seeds, unique, write
from bnrepro.plots.style import arm
from bnrepro.plots.tables import Table
from experiments.jacobian.figures import NETWORKS, premises_figure, shown_width, values_figure
from experiments.jacobian.metrics import share_gain, times, value

__all__ = ["FIGURES", "answer", "gather", "read", "summary", "write"]
FIGURES = {"singular-values": values_figure, "premises": premises_figure}


def summary(evidence: SweepEvidence) -> list[Table]:
    return [network_table(evidence), yardstick_table(evidence)]


COLUMNS = {
    "share within [½, 2], %": ("share", 100, 1),
    "below ½, %": ("below", 100, 1),
    "above 2, %": ("above", 100, 1),
    "log₁₀ condition": ("condition", 1, 2),
    "|correlation| of x": ("correlation", 1, 3),
}


def network_table(evidence: SweepEvidence) -> list[list[str]]:
    """A row a network, before and after training: mean and 95 % interval over seeds."""
    start, end = times(evidence)[0], times(evidence)[-1]
    networks = evidence.where(part="network")
    mean_of_j = "share, mean J, %"  # J averaged over the probe images before its singular values
    rows = [["network", "step", *COLUMNS, mean_of_j]]
    for activation in unique(networks, "activation"):
        for width in unique(networks, "width"):
            for t in (start, end):
                for name in ("baseline", "bn"):
                    cell = {"activation": activation, "width": width, "arm": name, "t": t}
                    values = [interval(evidence, c, f, d, **cell) for c, f, d in COLUMNS.values()]
                    values.append(interval(evidence, "share", 100, 1, matrix="mean", **cell))
                    label = f"{NETWORKS[activation]}, width {width}, {arm(name).label}"
                    rows.append([label, f"{t:,}", *values])
    return rows


def interval(evidence: SweepEvidence, column: str, factor: float, digits: int, **cell: Any) -> str:
    values = [value(evidence, column, seed=seed, **cell) for seed in seeds(evidence)]
    return text(values, factor, digits)


def text(values: Sequence[float | None], factor: float, digits: int) -> str:
    """Mean and interval; for a condition number without bound and for a lost network, a dash."""
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        return "–"
    return t_interval(known).times(factor).text(digits)


def yardstick_table(evidence: SweepEvidence) -> list[list[str]]:
    """What to compare with: random matrices, and the paper's argument in exact arithmetic."""
    rows = [
        [
            "width",
            "random matrix: share within [½, 2], %",
            "random matrix: log₁₀ condition",
            "both sides whitened: |J Jᵀ − I|",
            "unit variance alone: |diag(J Jᵀ) − 1|",
            "unit variance alone: |J Jᵀ − I|",
            "unit variance alone: share, %",
        ]
    ]
    for width in unique(evidence.where(part="random"), "width"):
        random = {"arm": "random", "width": width}
        exact = evidence.where(part="exact", width=width)
        keys = ("identity_error", "bn_diagonal_error", "bn_identity_error")
        worst = [f"{max(row[key] for row in exact):.1g}" for key in keys]
        share = interval(evidence, "share", 100, 1, **random)
        condition = interval(evidence, "condition", 1, 2, **random)
        scaled = text([row["bn_share"] for row in exact], 100, 1)
        rows.append([str(width), share, condition, *worst, scaled])
    return rows


def answer(evidence: SweepEvidence) -> str:
    """The answer in one line."""
    width, t = shown_width(evidence), times(evidence)[-1]
    cell = {"activation": "sigmoid", "width": width, "t": t}
    shares = {a: interval(evidence, "share", 100, 1, arm=a, **cell) for a in ("bn", "baseline")}
    random = interval(evidence, "share", 100, 1, arm="random", width=width)
    claim = {**cell, "at": "last", "arm": "bn"}
    verdicts = []
    for other in ("baseline", "random"):
        gains = share_gain(evidence, {**claim, "against": other})
        verdicts.append(word([g for g in gains if g is not None], len(gains)))
    return (
        f"After {t:,} steps (sigmoid, width {width}) {shares['bn']} % of the singular values lie "
        f"within [½, 2] with BN, {verdicts[0]} without ({shares['baseline']} %) and "
        f"{verdicts[1]} in a random Gaussian matrix ({random} %)."
    )


def word(gains: Sequence[float], count: int) -> str:
    """What the interval of paired differences says."""
    if len(gains) < max(count, 2):
        return "not comparable with those"
    low, high = t_interval(gains)[1:3]
    assert low is not None
    assert high is not None
    return "more than" if low > 0 else "fewer than" if high < 0 else "not clearly other than"
