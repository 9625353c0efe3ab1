"""Tables of Section 2 and what came out: full whitening against BN, centring, and nothing."""

from collections.abc import Sequence

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import t_interval
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.style import arm
from experiments.whitening.metrics import (
    FIT_FROM,
    batches,
    cost_exponent,
    last_rows,
    main_batch,
    main_rows,
    seeds,
    step_seconds,
    steps_to_target,
)

LABELS = {"baseline": "no normalisation", "bn": "BN"}
SHARES = (0.9, 0.95, 1.0)  # of the target
PASSES = ("forward", "backward")


def label(name: str) -> str:
    """An arm's name here, where centring is a normalisation without BN too."""
    return LABELS.get(name, arm(name).label)


def tables(evidence: Evidence) -> list[Table]:
    """How every cell ended, how fast it got there, and what the transforms cost."""
    return [accuracy_table(evidence), speed_table(evidence), cost_table(evidence)]


def accuracy_table(evidence: Evidence) -> Table:
    """A row a cell at its best rate: how it ended."""
    table = [
        ["mini-batch: arm", "own best rate", "ridge or ε", "test accuracy, %", "training loss"]
    ]
    for batch in batches(evidence)[::-1]:
        for (name, ridge), rows in by_cell(last_rows(evidence, batch)).items():
            shown = f"{ridge:g}" if name in ("bn", "whiten") else "–"
            values = [mean(rows, "accuracy", 100, 2), mean(rows, "loss", 1, 3)]
            table.append([f"{batch}: {label(name)}", f"{rows[0]['lr']:g}", shown, *values])
    return table


def by_cell(rows: Sequence[Row]) -> dict[tuple[str, float], list[Row]]:
    """Rows of one mini-batch by arm and ridge."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["arm"], row["ridge"]), []).append(row)
    return groups


def mean(rows: Sequence[Row], column: str, factor: float, digits: int) -> str:
    """Mean and interval over seeds; a dash as soon as one seed diverged."""
    known = [row[column] for row in rows if row[column] is not None]
    return t_interval(known).times(factor).text(digits) if len(known) == len(rows) else "–"


def speed_table(evidence: Evidence) -> Table:
    """Steps and seconds to shares of the best accuracy of the network without normalisation."""
    targets = [f"to {share:.0%} of the target: steps, seconds" for share in SHARES]
    table = [[f"mini-batch {main_batch(evidence)}, median seed", "ms a step", *targets]]
    for name in unique(evidence.step_cost, "arm"):
        seconds = step_seconds(evidence, name)
        cells = [reached(evidence, name, share, seconds) for share in SHARES]
        table.append([label(name), f"{1000 * seconds:.2f}", *cells])
    return table


def reached(evidence: Evidence, name: str, share: float, seconds: float) -> str:
    """Median over seeds of steps and seconds; how many seeds never reached the target."""
    found = [steps_to_target(evidence, name, seed, share) for seed in seeds(evidence)]
    known = sorted(v for v in found if v is not None)
    never = len(found) - len(known)
    note = f" (never: {never} of {len(found)})" if never else ""
    if never > len(found) / 2:
        return "never" + note
    middle = [*known, *[float("inf")] * never][len(found) // 2]
    return f"{middle:,.0f}, {middle * seconds:.2f} s{note}"


def cost_table(evidence: Evidence) -> Table:
    """Milliseconds of a transform's forward and backward pass."""
    columns = [(name, way) for name in unique(evidence.cost, "arm") for way in PASSES]
    names = [f"{label(name)}, {way}, ms" for name, way in columns]
    table = [["width", *names, "full whitening / BN"]]
    for width in unique(evidence.cost, "width"):
        rows = {row["arm"]: row for row in evidence.where("cost", width=width)}
        times = [f"{1000 * rows[name][way]:.3g}" for name, way in columns]
        ratio = rows["whiten"]["seconds"] / rows["bn"]["seconds"]
        table.append([f"{width:,}", *times, f"{ratio:,.0f}"])
    exponents = [f"{cost_exponent(evidence, name, way):.2f}" for name, way in columns]
    return [*table, [f"exponent of width, d ≥ {FIT_FROM}", *exponents, "–"]]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    rows = main_rows(evidence, "training")
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    end = {name: at_end(last, name) for name in unique(last, "arm")}
    ratio = step_seconds(evidence, "whiten") / step_seconds(evidence, "bn")
    width = max(unique(evidence.cost, "width"))
    cost = {row["arm"]: row["seconds"] for row in evidence.where("cost", width=width)}
    powers = [cost_exponent(evidence, name) for name in ("whiten", "bn")]
    return (
        f"After {rows[-1]['step']:,} steps, each arm at its own best rate, full whitening is at "
        f"{end['whiten']} % test accuracy, BN at {end['bn']} %, centring at {end['centre']} %, no "
        f"normalisation at {end['baseline']} %; with whitening a step of the small network takes "
        f"{ratio:.1f} times as long as with BN, and the transform of {width:,} units "
        f"{cost['whiten'] / cost['bn']:,.0f} times as long (∝ d^{powers[0]:.1f} against "
        f"d^{powers[1]:.1f})."
    )


def at_end(rows: Sequence[Row], name: str) -> str:
    """An arm's mean accuracy in per cent."""
    return mean([row for row in rows if row["arm"] == name], "accuracy", 100, 1).split(" [")[0]
