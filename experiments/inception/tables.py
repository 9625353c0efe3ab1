"""Figure 3 as a table beside the paper's, the ratios to shares of the target, and the answer."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import each_text, known, mean_text
from bnrepro.evidence.steps import Curve, SpeedUp, best, speed_up, steps_text, steps_to
from bnrepro.experiment import Table
from bnrepro.plots.speed import speed, speed_rows
from bnrepro.plots.style import label
from experiments.inception.metrics import (
    AT_OWN_RATE,
    AT_PAPERS_RATE,
    PLAIN,
    above_chance,
    ending,
    plain_of,
)


class Printed(NamedTuple):
    """A line of the paper's Figure 3."""

    steps: str
    accuracy: str


PAPER = {
    "inception": Printed("31.0·10⁶", "72.2 %"),
    "bn_baseline": Printed("13.3·10⁶", "72.7 %"),
    "bn_x5": Printed("2.1·10⁶", "73.0 %"),
    "bn_x30": Printed("2.7·10⁶", "74.8 %"),
    "bn_x5_sigmoid": Printed("never", "69.8 %"),
    "inception_x5": Printed("–", "diverges"),
    "inception_sigmoid": Printed("–", "chance"),
}
TIMES = {"bn_baseline": "2.3", "bn_x5": "14", "bn_x30": "11.5"}  # as fast as Inception, the paper's
CHANCE = "chance_accuracy"  # that of guessing, and three standard errors
PROTOCOLS = {  # how an arm's rate is chosen, by the end of its name
    AT_PAPERS_RATE: "the paper's own",
    AT_OWN_RATE: "its own best",
    "": "multiple of Inception's best",
}


def ordered(evidence: Evidence) -> list[str]:
    """The arms: the paper's first, each with its protocols together, then all others."""
    found = evidence.variants
    papers = [arm + end for arm in PAPER for end in ("", AT_PAPERS_RATE, AT_OWN_RATE)]
    return [arm for arm in papers if arm in found] + [arm for arm in found if arm not in papers]


def end_of(variant: str) -> str:
    """What the arm's name says of its rate."""
    return next(end for end in PROTOCOLS if variant.endswith(end))


def base_of(variant: str) -> str:
    """The arm without what its name says of its rate."""
    return variant.removesuffix(end_of(variant))


def regime(evidence: Evidence) -> str:
    """How the networks were updated; evidence from before there were replicas had one."""
    replicas = {run.get("replicas") or 1 for run in evidence.runs}
    if replicas <= {1}:
        return "synchronous SGD"
    counts = " and ".join(map(str, sorted(replicas)))
    return f"asynchronous SGD, {counts} replicas"


def paired_curves(evidence: Evidence, variant: str) -> tuple[list[Curve], list[Curve]]:
    """The curves of the arm and of its plain arm, seed by seed."""
    plain = plain_of(variant)
    seeds = evidence.seeds(variant, plain)
    mine, against = ([evidence.curve(v, seed) for seed in seeds] for v in (variant, plain))
    return mine, against


def speed_of(evidence: Evidence, variant: str) -> SpeedUp:
    """How many times as fast as its plain arm an arm is, to that arm's best."""
    mine, against = paired_curves(evidence, variant)
    return speed_up(against, mine)


def tables(evidence: Evidence) -> list[Table]:
    """Figure 3 beside the paper's, and the ratios to shares of the target."""
    pairs = [(v, plain_of(v)) for v in racing(evidence)]
    return [figure_3(evidence), *([speed_rows(evidence, pairs)] if has_target(evidence) else [])]


def racing(evidence: Evidence) -> list[str]:
    """The arms whose speed is compared with Inception's: all but it and the paper's controls."""
    controls = [arm for arm, printed in PAPER.items() if printed.steps == "–"]
    return [v for v in ordered(evidence) if base_of(v) not in (PLAIN, *controls)]


def figure_3(evidence: Evidence) -> Table:
    """One row an arm, beside the paper's: header first. A control shows how it ended."""
    header = ["arm", "rate", "steps to Inception's best", "times as fast, in steps", "in seconds",
              "to where Inception ends", "max. accuracy", "at the end, all images",
              "outcome by seed", "paper: steps", "paper: max."]  # fmt: skip
    return [header, *(arm_row(evidence, variant) for variant in ordered(evidence))]


def arm_row(evidence: Evidence, variant: str) -> list[str]:
    """An arm's line of Figure 3."""
    runs = evidence.where("runs", variant=variant)
    columns = ("best_test_accuracy", "final_test_accuracy_all")
    alike = len(unique(runs, "outcome")) == 1
    accuracies = [accuracy_text([run[column] for run in runs], alike) for column in columns]
    outcomes = ", ".join(
        str(run["outcome"])
        if (step := run["first_non_finite_step"]) is None
        else f"non-finite at step {step:,}"
        for run in runs
    )
    printed = PAPER.get(base_of(variant), Printed("–", "–"))
    speeds = speed_texts(evidence, variant)
    name, rate = label(evidence, variant), rate_text(evidence, variant)
    return [name, rate, *speeds, *accuracies, outcomes, *printed]


def rate_text(evidence: Evidence, variant: str) -> str:
    """The arm's rate, as far as its evidence says it, and how it was chosen."""
    runs = evidence.where("runs", variant=variant)
    rates = sorted({run["lr"] * run["multiplier"] for run in runs if run.get("multiplier")})
    return f"{', '.join(f'{rate:g}' for rate in rates)} {PROTOCOLS[end_of(variant)]}".strip()


def accuracy_text(values: Sequence[float | None], alike: bool) -> str:
    """Every seed's accuracy; their interval where all seeds ended in the same way."""
    each = each_text(values, 2, 100, lost="–")
    return f"{each}: {mean_text(values, 2, 100)} %" if alike and None not in values else f"{each} %"


def speed_texts(evidence: Evidence, variant: str) -> list[str]:
    """Steps to each seed's own target, and the ratios in steps, in seconds and to the plain arm's
    end."""
    mine, plain = paired_curves(evidence, variant)
    if not any(plain) or not has_target(evidence):
        return ["–"] * 4
    if not all(mine):
        return ["never", *["–"] * 3]
    goals = zip(mine, map(best, plain), strict=True)
    shown = [steps_text(steps_to(curve, goal), curve[-1][0]) for curve, goal in goals]
    against = plain_of(variant)
    ratios = [speed(evidence, variant, against, 1, axis) for axis in ("step", "wall_s")]
    return [", ".join(shown), *ratios, speed_up(plain, mine, goal=ending).text()]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence; other protocols after the paper's multiples of one rate."""
    if missing := {PLAIN, *TIMES} - set(evidence.variants):
        return f"Not compared: {', '.join(sorted(missing))} not finished."
    if not has_target(evidence):
        return endings(evidence)
    parts = [
        f"{label(evidence, v)}{budget_text(evidence, v)} {speed(evidence, v, PLAIN)} (the paper: "
        f"{times})"
        for v, times in TIMES.items()
    ]
    how = "" if regime(evidence) == "synchronous SGD" else f"With {regime(evidence)}: times"
    target = target_text(evidence)
    others = "".join(protocol_text(evidence, end) for end in PROTOCOLS if end)
    return (
        f"{how or 'Times'} as fast as Inception, in steps to its best accuracy ({target}): "
        f"{', '.join(parts)}{others}."
    )


def has_target(evidence: Evidence) -> bool:
    """Whether Inception leaves chance on every seed: else its best accuracy is a target that tells
    nothing."""
    return all(above is None or above > 0 for above in above_chance(evidence, {"arm": PLAIN}))


def endings(evidence: Evidence) -> str:
    """How accurate the paper's arms are at the end, where there is no speed to compare."""
    texts = []
    for variant in (PLAIN, *TIMES):
        runs = evidence.where("runs", variant=variant)
        last = mean_text([r["final_test_accuracy_all"] for r in runs], 2, 100, limits=(0, 1))
        texts.append(f"{label(evidence, variant)} {last} %")
    return (
        f"With {regime(evidence)}: Inception does not leave chance on every seed, so its best "
        f"accuracy is no target to be fast to. At the end, on all test images: {', '.join(texts)}."
    )


def budget_text(evidence: Evidence, variant: str) -> str:
    """The steps of an arm whose run is shorter than Inception's, and Inception's."""
    rows = (evidence.where("curves", variant=v) for v in (variant, PLAIN))
    mine, plain = (max((row["step"] for row in each), default=0) for each in rows)
    return f", in {mine:,} of {plain:,} steps," if 0 < mine < plain else ""


def target_text(evidence: Evidence) -> str:
    """Inception's best accuracy, the mean over seeds."""
    goals = known(run["best_test_accuracy"] for run in evidence.where("runs", variant=PLAIN))
    return f"{100 * fmean(goals):.1f} % on average" if goals else "never evaluated"


def protocol_text(evidence: Evidence, end: str) -> str:
    """How fast the arms are whose rates were chosen in this way; empty where there are none."""
    arms = [arm for arm in TIMES if arm + end in evidence.variants]
    each = [f"{label(evidence, arm)} {speed_of(evidence, arm + end).text()}" for arm in arms]
    return f"; at a rate that is {PROTOCOLS[end]}: {', '.join(each)}" if each else ""
