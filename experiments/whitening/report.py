"""Section 2 in figures and tables: full whitening against BN, centring, and nothing."""

from bnrepro.evidence.statistics import t_interval
from bnrepro.evidence.sweep_evidence import Row, SweepEvidence, gather, read, unique, write
from bnrepro.plots.tables import Table
from experiments.whitening.figures import (
    convergence_figure,
    cost_figure,
    label,
    last_rows,
    small_batch_figure,
)
from experiments.whitening.metrics import (
    FIT_FROM,
    batches,
    cost_exponent,
    main_batch,
    main_rows,
    seeds,
    step_seconds,
    steps_to_target,
)

__all__ = ["FIGURES", "answer", "gather", "read", "summary", "write"]
FIGURES = {
    "convergence": convergence_figure,
    "small-batches": small_batch_figure,
    "cost": cost_figure,
}
SHARES = (0.9, 0.95, 1.0)  # of the target


def summary(evidence: SweepEvidence) -> list[Table]:
    return [accuracy_table(evidence), speed_table(evidence), cost_table(evidence)]


def accuracy_table(evidence: SweepEvidence) -> list[list[str]]:
    """A row a cell at its own best rate: how it ended."""
    rows = [["mini-batch: arm", "own best rate", "ridge or ε", "test accuracy, %", "training loss"]]
    for batch in batches(evidence)[::-1]:
        found = last_rows(evidence, batch)
        for name, ridge in dict.fromkeys((r["arm"], r["ridge"]) for r in found):
            own = [r for r in found if (r["arm"], r["ridge"]) == (name, ridge)]
            shown = f"{ridge:g}" if name in ("bn", "whiten") else "–"
            ends = [mean(own, "accuracy", 100, 2), mean(own, "loss", 1, 3)]
            rows.append([f"{batch}: {label(name)}", f"{own[0]['lr']:g}", shown, *ends])
    return rows


def mean(rows: list[Row], column: str, factor: float, digits: int) -> str:
    """Mean and interval over seeds; a dash as soon as one seed diverged."""
    known = [row[column] for row in rows if row[column] is not None]
    return t_interval(known).times(factor).text(digits) if len(known) == len(rows) else "–"


def speed_table(evidence: SweepEvidence) -> list[list[str]]:
    """Steps and seconds to shares of the best accuracy of the network without normalisation."""
    targets = [f"to {share:.0%} of the target: steps, seconds" for share in SHARES]
    rows = [[f"mini-batch {main_batch(evidence)}, median seed", "ms a step", *targets]]
    for name in unique(evidence.where(part="step_cost"), "arm"):
        seconds = step_seconds(evidence, name)
        cells = [reached(evidence, name, share, seconds) for share in SHARES]
        rows.append([label(name), f"{1000 * seconds:.2f}", *cells])
    return rows


def reached(evidence: SweepEvidence, arm: str, share: float, seconds: float) -> str:
    """Median over seeds; how many never got there."""
    found = [steps_to_target(evidence, arm, seed, share) for seed in seeds(evidence)]
    known = sorted(v for v in found if v is not None)
    never = len(found) - len(known)
    note = f" (never: {never} of {len(found)})" if never else ""
    if never > len(found) / 2:
        return "never" + note
    middle = [*known, *[float("inf")] * never][len(found) // 2]
    return f"{middle:,.0f}, {middle * seconds:.2f} s{note}"


def cost_table(evidence: SweepEvidence) -> list[list[str]]:
    """Milliseconds of a transform's forward and backward pass."""
    arms = unique(evidence.where(part="cost"), "arm")
    columns = [f"{label(a)}, {way}, ms" for a in arms for way in ("forward", "backward")]
    rows = [["width", *columns, "full whitening / BN"]]
    for width in unique(evidence.where(part="cost"), "width"):
        found = {row["arm"]: row for row in evidence.where(part="cost", width=width)}
        times = [f"{1000 * found[a][way]:.3g}" for a in arms for way in ("forward", "backward")]
        ratio = found["whiten"]["seconds"] / found["bn"]["seconds"]
        rows.append([f"{width:,}", *times, f"{ratio:,.0f}"])
    exponents = [
        f"{cost_exponent(evidence, a, w):.2f}" for a in arms for w in ("forward", "backward")
    ]
    rows.append([f"exponent of width, d ≥ {FIT_FROM}", *exponents, "–"])
    return rows


def answer(evidence: SweepEvidence) -> str:
    """The answer in one line."""
    rows = main_rows(evidence, "training")
    last = [row for row in rows if row["t"] == rows[-1]["t"]]
    end = {arm: at_end(last, arm) for arm in dict.fromkeys(row["arm"] for row in last)}
    ratio = step_seconds(evidence, "whiten") / step_seconds(evidence, "bn")
    width = max(unique(evidence.where(part="cost"), "width"))
    cost = {row["arm"]: row["seconds"] for row in evidence.where(part="cost", width=width)}
    powers = [cost_exponent(evidence, arm) for arm in ("whiten", "bn")]
    return (
        f"After {rows[-1]['t']:,} steps, each arm at its own best rate, full whitening is at "
        f"{end['whiten']} % test accuracy, BN at {end['bn']} %, centring at {end['centre']} %, no "
        f"normalisation at {end['baseline']} %; with whitening a step of the small network takes "
        f"{ratio:.1f} times as long as with BN, and the transform of {width:,} units "
        f"{cost['whiten'] / cost['bn']:,.0f} times as long (∝ d^{powers[0]:.1f} against "
        f"d^{powers[1]:.1f})."
    )


def at_end(rows: list[Row], arm: str) -> str:
    """Mean accuracy in per cent."""
    return mean([row for row in rows if row["arm"] == arm], "accuracy", 100, 1).split(" [")[0]
