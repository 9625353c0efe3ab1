"""Section 4.1 in numbers: the summary over seeds, the speed, the drift by layer, every seed."""

import math
from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import Values, combine, each_text, known, mean_text, ratio_text
from bnrepro.evidence.steps import steps_to
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.speed import speed, speed_rows
from bnrepro.plots.style import label, nonlinearity, on_data, unlike_label

ACCURACY_AT = (1000, 5000, 10000, 20000, 50000)
TARGETS = (0.90, 0.95, 0.97)
SHARES = (1.0, 0.98, 0.97, 0.95, 0.90)  # of the plain arm's best accuracy
PAIRS = (
    ("bn", "baseline"),
    ("bn", "baseline_tuned"),
    ("bn_tuned", "baseline"),
    ("bn_tuned", "baseline_tuned"),
)
PAPER_ARMS = ("baseline", "bn")
DRIFTS = {"median": "median", "relative": "median / spread", "spread": "log spread"}


def unit_arms(evidence: Evidence) -> list[str]:
    """The two arms whose units are shown: those of the paper's figure where they have run."""
    paper = [variant for variant in PAPER_ARMS if variant in evidence.variants]
    return [*paper, *(v for v in evidence.variants if v not in paper)][:2]


def input_name(evidence: Evidence) -> str:
    """What the inputs of units go into."""
    names = {nonlinearity(run.get("activation") or "sigmoid") for run in evidence.runs}
    return f"input to the {names.pop() if len(names) == 1 else 'nonlinearity'}"


def drift_ratios(evidence: Evidence, kind: str) -> dict[str, list[float]]:
    """ln(drift with BN / without) by seed, for every hidden layer where both are known."""
    plain, bn = ({r["seed"]: r for r in evidence.where("runs", variant=v)} for v in PAPER_ARMS)
    found = {}
    for layer in unique(evidence.units, "layer"):
        column = f"drift_{kind}_training_{layer}"
        pairs = [(bn[seed].get(column), plain[seed].get(column)) for seed in bn if seed in plain]
        logs = known(combine(lambda a, b: math.log(a / b), *zip(*pairs, strict=True)))
        if logs:
            found[layer] = logs
    return found


class Line(NamedTuple):
    """A line of the tables."""

    label: str
    digits: int
    censored: bool = False  # a missing value means "not reached", not "not measured"


DIVERGED = Line("diverged at step", 0)


def tables(evidence: Evidence) -> list[Table]:
    """The summary, the speed of the arms with BN, drift by layer, and every seed's values."""
    arms = {variant: arm_lines(evidence, variant) for variant in evidence.variants}
    seeds = [seed_rows(evidence, variant, lines) for variant, lines in arms.items()]
    speed = speed_rows(evidence, PAIRS, SHARES)
    return [summary_rows(evidence, arms), speed, *drift_rows(evidence), *seeds]


def drift_rows(evidence: Evidence) -> list[Table]:
    """Drift with BN over drift without, a row a kind, a column a layer; none where not measured."""
    each = {kind: drift_ratios(evidence, kind) for kind in DRIFTS}
    layers = list(each["relative"])
    header = ["drift, with BN : without, training mode, geometric mean"]
    table = [[*header, *(f"hidden layer {layer[6:]}" for layer in layers)]]
    for kind, ratios in each.items():
        table.append([f"of the {DRIFTS[kind]}", *(ratio_text(ratios[layer]) for layer in layers)])
    return [table] if layers else []


def arm_lines(evidence: Evidence, variant: str) -> dict[Line, list[float | None]]:
    """Every line with its value for each seed of an arm."""
    runs = [run_lines(evidence, evidence.run(variant, s)) for s in evidence.seeds(variant)]
    return {line: [run[line] for run in runs] for line in runs[0]}


def run_lines(evidence: Evidence, run: Row) -> dict[Line, float | None]:
    """Every line with its value for one run."""
    key = {name: run[name] for name in ("variant", "seed")}
    rows, layers = evidence.where("curves", **key), unique(evidence.units, "layer")
    curve, seconds = (evidence.curve(**key, axis=axis) for axis in ("step", "wall_s"))
    lines = {Line(f"test accuracy at step {s:,}", 4): dict(curve).get(s) for s in ACCURACY_AT}
    lines[Line("best test accuracy", 4)] = run.get("best_test_accuracy")
    population = run.get("final_test_accuracy_population")
    lines[Line("last test accuracy, Algorithm 2's statistics", 4)] = population
    lines |= {Line(f"steps to {t:.0%}", 0, True): steps_to(curve, t) for t in TARGETS}
    lines |= {Line(f"seconds to {t:.0%}", 1, True): steps_to(seconds, t) for t in TARGETS}
    for mode, kind in product(("training", "inference"), DRIFTS):
        drift = run.get(f"drift_{kind}_{mode}_{layers[-1]}") if layers else None
        lines[Line(f"drift of the {DRIFTS[kind]}, {mode} mode", 3)] = drift
    for layer in layers if input_name(evidence) == "input to the sigmoid" else ():
        shares = known(row.get(f"saturated_{layer}") for row in rows)
        last = shares[-1] if shares else None
        lines[Line(f"share saturated, hidden layer {layer[6:]}, last step", 4)] = last
    lines[Line("seconds, all seeds of the arm together", 1)] = run.get("wall_s")
    lines[DIVERGED] = run.get("first_non_finite_step")
    return lines


def summary_rows(evidence: Evidence, arms: Mapping[str, Mapping[Line, Values]]) -> Table:
    """The table with one column an arm: header first."""
    first = on_data("mean [95 % interval]", evidence.data)
    header = [first, *(label(evidence, variant) for variant in arms)]
    lines = next(iter(arms.values()))
    body = [[k.label, *(summarise(k, each[k]) for each in arms.values())] for k in lines]
    return [header, *measured(body)]


def measured(rows: Table) -> Table:
    """The rows without those that have no value."""
    return [row for row in rows if set(row[1:]) != {"–"}]


def summarise(line: Line, each: Values) -> str:
    """Mean with interval; where a seed is missing, how many, and never a mean of the rest."""
    there = known(each)
    if line == DIVERGED:
        return f"{len(there)} of {len(each)} seeds" if there else "–"
    lost = f"reached by {len(there)} of {len(each)}" if there else "never"
    return mean_text(each, line.digits, lost=lost if line.censored else "–")


def seed_rows(evidence: Evidence, variant: str, lines: Mapping[Line, Values]) -> Table:
    """Every seed's own value for one arm: header first."""
    header = [label(evidence, variant), *(f"seed {s}" for s in evidence.seeds(variant))]
    body = []
    for line, each in lines.items():
        missing = "never" if line.censored else "–"
        body.append([line.label, *(each_text([v], line.digits, lost=missing) for v in each)])
    return [header, *measured(body)]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    if missing := {"baseline", "bn", "bn_tuned"} - set(evidence.variants):
        return f"Not compared: {', '.join(sorted(missing))} not finished."
    equal, tuned = (speed(evidence, variant, "baseline") for variant in ("bn", "bn_tuned"))
    nearly = speed(evidence, "bn", "baseline", 0.98)
    seconds = speed(evidence, "bn", "baseline", axis="wall_s")
    runs = (evidence.where("runs", variant=variant) for variant in ("baseline", "bn"))
    last = ([run["final_test_accuracy"] for run in each] for each in runs)
    plain, bn = (mean_text(each, 2, 100, " %", lost="not known (diverged)") for each in last)
    same = "at the same setting" if same_setting(evidence, "bn", "baseline") else "as it was set"
    tuned_arm = label(evidence, "bn_tuned")
    own = tuned_arm if unlike_label(evidence, "bn_tuned") else "its own best setting"
    return (
        f"Times as fast as the plain network, in steps to its best accuracy: with BN {equal} "
        f"{same} ({seconds} in seconds; {nearly} in steps to 98 % of it), {tuned} at {own}; the "
        f"last accuracy is {bn} with BN and {plain} without."
    )


def same_setting(evidence: Evidence, *variants: str) -> bool:
    """Whether the arms' runs share rate, initial weights and mini-batch."""
    runs = [run for run in evidence.runs if run["variant"] in variants]
    return len(grouped(runs, "lr", "init", "init_std", "batch")) == 1
