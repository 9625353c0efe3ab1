"""The table beside Figure 1: every seed's value, mean and interval, for every arm."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import t_interval
from bnrepro.evidence.steps import steps_to
from bnrepro.experiment import Table
from bnrepro.plots.speed import speed, speed_rows
from bnrepro.plots.style import arm, on_data

ACCURACY_AT = (1000, 5000, 10000, 20000, 50000)
TARGETS = (0.90, 0.95, 0.97)
PAIRS = (
    ("bn", "baseline"),
    ("bn", "baseline_tuned"),
    ("bn_tuned", "baseline"),
    ("bn_tuned", "baseline_tuned"),
)
LAST = "hidden3"

Value = Callable[[Evidence, str, int], float | None]


class Line(NamedTuple):
    label: str
    value: Value
    digits: int
    censored: bool = False  # a missing value means "not reached", not "not measured"


def tables(evidence: Evidence) -> list[Table]:
    """The summary over seeds, the speed of the arms with BN, and every seed's values."""
    seeds = [seed_rows(evidence, variant) for variant in evidence.variants]
    return [summary_rows(evidence), speed_rows(evidence, PAIRS), *seeds]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    if missing := {"baseline", "bn", "bn_tuned"} - set(evidence.variants):
        return f"Not compared: {', '.join(sorted(missing))} not finished."
    equal, tuned = (speed(evidence, v, "baseline", 1.0, "step").text() for v in ("bn", "bn_tuned"))
    plain, bn = (
        t_interval([evidence.run(v, s)["final_test_accuracy"] for s in evidence.seeds(v)])
        for v in ("baseline", "bn")
    )
    return (
        f"Times as fast as the plain network, in steps to its best accuracy: with BN {equal} at "
        f"the same setting, {tuned} at its own best setting; the last accuracy is "
        f"{bn.times(100).text(2)} % with BN and {plain.times(100).text(2)} % without."
    )


def lines() -> list[Line]:
    """The lines of the summary."""
    return [
        *(Line(f"test accuracy at step {s:,}", _accuracy_at(s), 4) for s in ACCURACY_AT),
        Line("best test accuracy", _column("best_test_accuracy"), 4),
        Line(
            "last test accuracy, Algorithm 2's statistics",
            _column("final_test_accuracy_population"),
            4,
        ),
        *(Line(f"steps to {t:.0%}", _steps_to(t, "step"), 0, True) for t in TARGETS),
        *(Line(f"seconds to {t:.0%}", _steps_to(t, "wall_s"), 1, True) for t in TARGETS),
        *(
            Line(f"drift of the {what}, {mode} mode", _column(f"drift_{kind}_{mode}_{LAST}"), 3)
            for mode in ("training", "inference")
            for kind, what in (
                ("median", "median"),
                ("relative", "median / spread"),
                ("spread", "log spread"),
            )
        ),
        *(
            Line(f"share saturated, hidden layer {i}, last step", _last(f"saturated_hidden{i}"), 4)
            for i in (1, 2, 3)
        ),
        Line("seconds, all seeds of the arm together", _column("wall_s"), 1),
    ]


def _accuracy_at(step: int) -> Value:
    return lambda e, variant, seed: dict(e.curve(variant, seed)).get(step)


def _column(name: str) -> Value:
    return lambda e, variant, seed: e.run(variant, seed).get(name)


def _steps_to(target: float, axis: str) -> Value:
    return lambda e, variant, seed: steps_to(e.curve(variant, seed, axis), target)


def _last(name: str) -> Value:
    def value(evidence: Evidence, variant: str, seed: int) -> float | None:
        known = [
            r[name]
            for r in evidence.where("curves", variant=variant, seed=seed)
            if r.get(name) is not None
        ]
        return known[-1] if known else None

    return value


def summarise(line: Line, values: Sequence[float | None]) -> str:
    """Mean with interval; where a seed is missing, how many, and never a mean of the rest."""
    known = [v for v in values if v is not None]
    if not known:
        return "never" if line.censored else "–"
    if len(known) < len(values):
        return f"reached by {len(known)} of {len(values)}" if line.censored else "–"
    return t_interval(known).text(line.digits)


def summary_rows(evidence: Evidence) -> list[list[str]]:
    """The table with one column an arm: header first."""
    first = on_data("mean [95 % interval]", evidence.data)
    header = [first, *(arm(v).label for v in evidence.variants)]
    body = [
        [line.label, *(summarise(line, _values(evidence, line, v)) for v in evidence.variants)]
        for line in lines()
    ]
    return [header, *(row for row in body if set(row[1:]) != {"–"})]


def _values(evidence: Evidence, line: Line, variant: str) -> list[float | None]:
    return [line.value(evidence, variant, seed) for seed in evidence.seeds(variant)]


def seed_rows(evidence: Evidence, variant: str) -> list[list[str]]:
    """Every seed's own value for one arm: header first."""
    header = [arm(variant).label, *(f"seed {s}" for s in evidence.seeds(variant))]
    body = []
    for line in lines():
        missing, values = "never" if line.censored else "–", _values(evidence, line, variant)
        cells = (missing if v is None else f"{v:.{line.digits}f}" for v in values)
        body.append([line.label, *cells])
    return [header, *body]
