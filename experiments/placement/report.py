"""Section 3.2: what BN meets on Wu + b and on u, and what its place does."""

from collections.abc import Sequence
from typing import Any

from bnrepro.evidence.statistics import t_interval
from bnrepro.evidence.sweep_evidence import SweepEvidence, gather, read, seeds, write
from bnrepro.plots.tables import Table
from experiments.placement.figures import (
    KINDS,
    PLACES,
    SHAPES,
    SHIFTS,
    accuracy_figure,
    activations_of,
    shape_figure,
    shape_text,
    title,
)
from experiments.placement.metrics import best_accuracy, best_rate, last_rows

__all__ = ["FIGURES", "answer", "gather", "read", "summary", "write"]
FIGURES = {"shapes": shape_figure, "accuracy": accuracy_figure}


def summary(evidence: SweepEvidence) -> list[Table]:
    shapes = [shape_table(evidence, arm) for arm in ("none", "preactivation")]
    others = (accuracy_table, convolution_table, shift_table)
    return [*shapes, *(table(evidence) for table in others)]


def answer(evidence: SweepEvidence) -> str:
    """The answer in one line."""
    parts = []
    for activation in activations_of(evidence):
        u, x = (shape_text(evidence, "gaussian_distance", w, activation) for w in "ux")
        before, after = (
            t_interval(list(best_accuracy(evidence, activation, arm).values())).mean
            for arm in ("preactivation", "after")
        )
        parts.append(
            f"{title(activation)}: mean distance to a Gaussian in training {x} for Wu + b, {u} for "
            f"u; accuracy {100 * before:.2f} % with BN before the nonlinearity, "
            f"{100 * after:.2f} % after it"
        )
    shift = {k: [r["change"] for r in _shifts(evidence, k)] for k in ("map", "activation")}
    return (
        "; ".join(parts) + f"; a shift changes per-feature-map BN by at most "
        f"{max(shift['map']):.0e}, per-activation BN by at least {min(shift['activation']):.2f}."
    )


def _shifts(evidence: SweepEvidence, kind: str) -> list[dict[str, Any]]:
    rows = evidence.where(part="shift", kind=kind)
    return [r for r in rows if kind == "map" or r["setting"] != "alike"]


def shape_table(evidence: SweepEvidence, arm: str) -> list[list[str]]:
    """One arm: u against Wu + b, means over layers 2 and 3, later stops and seeds."""
    names = [f"{title(a)}, {w}" for a in activations_of(evidence) for w in ("u", "Wu + b")]
    rows = [[f"{PLACES[arm].label}: hidden layers 2 and 3", *names, "Gaussian sample"]]
    for column, label in SHAPES.items():
        cells = [
            shape_text(evidence, column, w, a, arm) for a in activations_of(evidence) for w in "ux"
        ]
        sample = [r[column] for r in evidence.where(part="reference") if r[column] is not None]
        rows.append([label, *cells, f"{t_interval(sample).mean:.3f}" if sample else "–"])
    return rows


def accuracy_table(evidence: SweepEvidence) -> list[list[str]]:
    """Last test accuracy in per cent at every rate, and at the rate of lowest training loss."""
    rates = sorted({r["lr"] for r in evidence.where(part="accuracy")})
    rows = [["place of BN", *(f"lr {lr:g}" for lr in rates), "own best rate", "by seed"]]
    for activation in activations_of(evidence):
        for arm, place in PLACES.items():
            last = last_rows(evidence, activation, arm)
            each = [_percent([r["accuracy"] for r in last if r["lr"] == lr]) for lr in rates]
            best = list(best_accuracy(evidence, activation, arm).values())
            own = f"{_percent(best)} (lr {best_rate(evidence, activation, arm):g})"
            by_seed = ", ".join(f"{100 * v:.2f}" for v in best)
            rows.append([f"{title(activation)}, {place.label}", *each, own, by_seed])
    return rows


def _percent(values: Sequence[float]) -> str:
    return t_interval(values).times(100).text(2)


def convolution_table(evidence: SweepEvidence) -> list[list[str]]:
    """The small convolutional network: learned numbers of BN and accuracy."""
    rows = [["convolutional network", "γ and β learned", "test accuracy, %", "by seed"]]
    first = seeds(evidence)[0]
    for kind, arm in KINDS.items():
        found = [r["accuracy"] for r in evidence.where(part="conv_accuracy", kind=kind)]
        numbers = sum(r["numbers"] for r in evidence.where(part="pairs", kind=kind, seed=first))
        by_seed = ", ".join(f"{100 * v:.2f}" for v in found)
        rows.append([arm.label, f"{numbers:,}", _percent(found), by_seed])
    return rows


def shift_table(evidence: SweepEvidence) -> list[list[str]]:
    """Relative change when BN and convolution meet a shift; and b's gradient."""
    rows = [["does BN of a convolution commute with shifts?", "per feature map", "per activation"]]
    for setting, (_, label) in SHIFTS.items():
        worst = []
        for kind, choose in (("map", max), ("activation", min)):
            found = evidence.where(part="shift", kind=kind, setting=setting)
            worst.append(f"{choose(r['change'] for r in found):.1e}")
        rows.append([label, *worst])
    bias = []
    for kind in ("map", "activation"):
        found = [r for r in evidence.where(part="bias") if r["kind"] in (kind, "dense")]
        bias.append(f"{max(r['gradient'] for r in found):.1e}")
    return [*rows, ["gradient of b ahead of BN, relative", *bias]]
