"""The tables of Section 3.2's experiment: what BN meets on Wu + b and on u, what its place does."""

from collections.abc import Sequence

from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import t_interval
from bnrepro.experiment import Table
from bnrepro.plots.style import ARMS, Arm
from experiments.placement.metrics import (
    best_accuracy,
    best_rate,
    gaussian_values,
    last_rows,
    later_shapes,
    shape_mean,
    shift_changes,
)

PLACES = {
    "none": ARMS["baseline"],
    "preactivation": Arm("BN(Wu), before g", ARMS["bn"].colour, "-"),
    "input": ARMS["bn_input"],
    "after": ARMS["bn_after"],
}
SHAPES = {
    "gaussian_distance": "Kolmogorov distance to a Gaussian",
    "absolute_skewness": "absolute skewness",
    "kurtosis": "excess kurtosis",
    "zeros": "share of zeros",
    "shape_change": "change of shape since the point before",
}
KINDS = {
    "none": ARMS["baseline"],
    "map": Arm("BN per feature map", ARMS["bn"].colour, "-"),
    "activation": ARMS["bn_activation"],
}
SHIFTS = {
    "alike": ("one shift,\nγ, β alike", "training, one shift for all, γ and β alike"),
    "own": ("own\nshifts", "training, a shift of its own for each image"),
    "learned": ("one shift,\nγ, β learned", "training, one shift for all, γ and β learned"),
    "inference": ("inference", "inference"),
    "padded": ("zero\npadding", "training, zeros for padding, own shifts within a margin"),
}


def activations_of(evidence: Evidence) -> list[str]:
    """The activations of the networks trained."""
    return unique(evidence.where("accuracy"), "activation")


def title(activation: str) -> str:
    """The activation's name in figures and tables."""
    return {"relu": "ReLU"}.get(activation, activation)


def tables(evidence: Evidence) -> list[Table]:
    """Distributions, accuracies, convolutional networks, and shifts."""
    shapes = [shape_table(evidence, arm) for arm in ("none", "preactivation")]
    others = (accuracy_table, convolution_table, shift_table)
    return [*shapes, *(table(evidence) for table in others)]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
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
    by_map, by_activation = (shift_changes(evidence, kind) for kind in ("map", "activation"))
    return (
        "; ".join(parts) + f"; a shift changes per-feature-map BN by at most "
        f"{max(by_map):.0e}, per-activation BN by at least {min(by_activation):.2f}."
    )


def shape_text(
    evidence: Evidence, column: str, what: str, activation: str, arm: str = "none"
) -> str:
    """A column's mean over layers 2 and 3, later stops and seeds."""
    rows = later_shapes(evidence, what, activation, arm)
    found = (shape_mean(rows, column, seed) for seed in all_seeds(evidence))
    values = [v for v in found if v is not None]
    return f"{t_interval(values).mean:.3f}" if values else "–"


def shape_table(evidence: Evidence, arm: str) -> list[list[str]]:
    """One arm: u against Wu + b, means over layers 2 and 3, later stops and seeds."""
    names = [f"{title(a)}, {w}" for a in activations_of(evidence) for w in ("u", "Wu + b")]
    rows = [[f"{PLACES[arm].label}: hidden layers 2 and 3", *names, "Gaussian sample"]]
    for column, label in SHAPES.items():
        cells = [
            shape_text(evidence, column, w, a, arm) for a in activations_of(evidence) for w in "ux"
        ]
        sample = gaussian_values(evidence, column)
        rows.append([label, *cells, f"{t_interval(sample).mean:.3f}" if sample else "–"])
    return rows


def accuracy_table(evidence: Evidence) -> list[list[str]]:
    """Last test accuracy in per cent at every rate, and at the rate of lowest training loss."""
    rates = sorted({r["lr"] for r in evidence.where("accuracy")})
    rows = [["place of BN", *(f"lr {lr:g}" for lr in rates), "own best rate", "by seed"]]
    for activation in activations_of(evidence):
        for arm, place in PLACES.items():
            last = last_rows(evidence, activation, arm)
            each = [_percent([r["accuracy"] for r in last if r["lr"] == lr]) for lr in rates]
            best = list(best_accuracy(evidence, activation, arm).values())
            at_best = f"{_percent(best)} (lr {best_rate(evidence, activation, arm):g})"
            by_seed = ", ".join(f"{100 * v:.2f}" for v in best)
            rows.append([f"{title(activation)}, {place.label}", *each, at_best, by_seed])
    return rows


def _percent(values: Sequence[float]) -> str:
    return t_interval(values).times(100).text(2)


def convolution_table(evidence: Evidence) -> list[list[str]]:
    """The small convolutional network: learned numbers of BN and accuracy."""
    rows = [["convolutional network", "γ and β learned", "test accuracy, %", "by seed"]]
    first = all_seeds(evidence)[0]
    for kind, arm in KINDS.items():
        found = [r["accuracy"] for r in evidence.where("conv_accuracy", kind=kind)]
        numbers = sum(r["numbers"] for r in evidence.where("pairs", kind=kind, seed=first))
        by_seed = ", ".join(f"{100 * v:.2f}" for v in found)
        rows.append([arm.label, f"{numbers:,}", _percent(found), by_seed])
    return rows


def shift_table(evidence: Evidence) -> list[list[str]]:
    """Relative change when BN and convolution meet a shift; and b's gradient."""
    rows = [["does BN of a convolution commute with shifts?", "per feature map", "per activation"]]
    for setting, (_, label) in SHIFTS.items():
        worst = []
        for kind, choose in (("map", max), ("activation", min)):
            found = evidence.where("shift", kind=kind, setting=setting)
            worst.append(f"{choose(r['change'] for r in found):.1e}")
        rows.append([label, *worst])
    bias = []
    for kind in ("map", "activation"):
        found = [r for r in evidence.where("bias") if r["kind"] in (kind, "dense")]
        bias.append(f"{max(r['gradient'] for r in found):.1e}")
    return [*rows, ["gradient of b ahead of BN, relative", *bias]]
