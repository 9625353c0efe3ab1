"""Committed evidence, altered as if runs had diverged or had been overridden; and what is shown."""

import functools
from collections.abc import Callable

from bnrepro.evidence.evidence import Evidence, all_seeds, load
from bnrepro.evidence.tables import Row
from bnrepro.experiment import find
from tests.drawing import drawn, legend

SCALE = {"mnist": "paper", "mnist_grid": "paper"}
RUNS = ("mnist", "inception")
TRAINED = {  # of every sweep: its tables of trained networks, and the columns that are lost
    "bias_growth": {"training": ("loss", "bias", "drift", "weight", "std")},
    "whitening": {"training": ("accuracy", "loss"), "tuning": ("accuracy", "loss")},
    "inference": {
        "moments": ("ratio_biased", "ratio_unbiased"),
        "x_hat": ("x_hat_mean", "x_hat_var"),
        "company": ("difference", "difference_alone"),
        "spread": ("deviation",),
        "fold": ("error", "error_in_epsilons"),
    },
    "placement": {
        "accuracy": ("training_loss",),
        "shape": ("gaussian_distance", "absolute_skewness", "kurtosis", "shape_change"),
    },
    "covariate_shift": {
        "accuracy": ("accuracy", "training_loss"),
        "drift": ("total", "mean", "scale", "shape"),
        "gradient": ("distance", "cosine"),
    },
    "regularization": {
        **dict.fromkeys(
            ("dropout", "dropout_tuned", "l2", "l2_tuned", "plain"),
            ("train_loss", "test_accuracy", "test_loss", "fitted_accuracy", "fitted_loss"),
        ),
        "groups": ("train_loss", "test_accuracy", "fitted_accuracy", "noise"),
    },
    "jacobian": {
        "network": ("share", "below", "above", "condition", "correlation", "kurtosis",
                    "nonlinearity", *(f"q{q}" for q in range(0, 101, 5))),
    },
    "scale_invariance": {
        "training": ("loss", "weight", "relative_step", "effective_rate", "cosine",
                     "gradient_ratio"),
    },
}  # fmt: skip
AN_ARM = {  # that diverges alone
    "bias_growth": {"transform": "scale", "gradient": "outside"},
    "whitening": {"arm": "whiten"},
    "inference": {"m": 2},
    "placement": {"arm": "none"},
    "covariate_shift": {"arm": "bn"},
    "regularization": {"arm": "bn"},
    "jacobian": {"arm": "bn"},
    "scale_invariance": {"arm": "bn"},
}


@functools.cache
def committed(stem: str) -> Evidence:
    """The published evidence, of its first two seeds, its tuning seeds and three units."""
    evidence = load(stem, SCALE.get(stem, "small"))
    seeds = [seed for seed in all_seeds(evidence) if seed < 2 or seed >= 1000]

    def is_kept(row: Row) -> bool:
        # rows of `drifts` have units without a rank
        shown_unit = "unit" not in row or row.get("rank", 1) in (1, 50, 100)
        return row.get("seed") in (None, *seeds) and shown_unit

    return kept(evidence, is_kept)


def kept(evidence: Evidence, condition: Callable[[Row], bool]) -> Evidence:
    """A copy with the rows that meet a condition."""
    tables = {k: [dict(r) for r in rows if condition(r)] for k, rows in evidence.tables.items()}
    return Evidence(**tables)


def lost(stem: str, where: Row, after: int = -1) -> Evidence:
    """The networks with these values leave the finite numbers after a step."""
    evidence = kept(committed(stem), lambda row: True)
    for table, columns in TRAINED[stem].items():
        for row in evidence.where(table, **where):
            if row.get("step", 0) > after:
                row |= dict.fromkeys(columns)
    return evidence


def lost_runs(stem: str, variants: list[str], seeds: tuple[int, ...] = (0, 1)) -> Evidence:
    """These runs diverge before their first evaluation, and leave neither curve nor units."""
    gone = [(variant, seed) for variant in variants for seed in seeds]

    def is_kept(row: Row) -> bool:
        return "status" in row or (row.get("variant"), row.get("seed")) not in gone

    evidence = kept(committed(stem), is_kept)
    for run in evidence.runs:
        if (run["variant"], run["seed"]) in gone:
            run |= {k: None for k in run if k.startswith(("final", "best", "drift"))}
            run |= {"status": "diverged", "outcome": "non-finite", "first_non_finite_step": 3}
    return evidence


def overridden(stem: str, **columns: object) -> Evidence:
    """Every run with other settings."""
    evidence = kept(committed(stem), lambda row: True)
    for run in evidence.runs:
        run |= columns
    return evidence


def at_end(stem: str, which: int) -> Evidence:
    """The rows of each table's first (0) or last (-1) step alone."""
    tables = {}
    for name, rows in committed(stem).tables.items():
        steps = sorted({row["step"] for row in rows if row.get("step") is not None})
        end = steps[which] if steps else None
        tables[name] = [dict(row) for row in rows if row.get("step") == end]
    return Evidence(**tables)


def shown(stem: str, evidence: Evidence) -> str:
    """All text of the figures, tables and the answer; every figure is laid out as for its file."""
    texts = [said(stem, evidence)]
    for figure in drawn(stem, evidence).values():
        figure.draw_without_rendering()
        texts += [figure.get_suptitle(), figure.get_supylabel()]
        for axis in figure.axes:
            texts += [
                axis.get_title(),
                axis.get_title("left"),
                axis.get_ylabel(),
                *(t.get_text() for t in axis.texts),
            ]
        keys = [axis for axis in figure.axes if axis.get_legend()]
        keys += [figure] if figure.legends else []
        texts += [text for part in keys for text in legend(part)]
    return "\n".join(texts) + "\n"


def said(stem: str, evidence: Evidence) -> str:
    """The answer and the rows of the tables."""
    figures = find(stem).figures
    rows = [" | ".join(row) for table in figures.tables(evidence) for row in table]
    text = "\n".join([figures.answer(evidence), *rows])
    assert "nan" not in text.lower().split()
    return text
