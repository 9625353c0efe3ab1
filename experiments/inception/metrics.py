"""The metrics of Section 4.2's claims: a value a seed; where two arms are compared, paired."""

import math
from operator import sub

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.pairs import log_steps_ratio, paired, paired_seeds
from bnrepro.evidence.statistics import Above, Values
from bnrepro.evidence.steps import Curve, best, log_ratio_to, steps_to

__all__ = ["log_steps_ratio"]

PLAIN = "inception"  # the arm whose best accuracy is the target of all
AT_PAPERS_RATE = "_paper_rate"  # ends the names of arms at the paper's own rates
AT_OWN_RATE = "_own_rate"  # and of those at the best rate of their own search


def plain_of(variant: str) -> str:
    """The plain arm that an arm is compared with: at the paper's own rates the one at its own."""
    return PLAIN + (AT_PAPERS_RATE if variant.endswith(AT_PAPERS_RATE) else "")


def max_accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    """Best evaluated test accuracy of `arm` minus that of `against`."""
    return paired(evidence, claim, "best_test_accuracy", sub)


def final_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last accuracy on all test images of `arm` minus that of `against`."""
    return paired(evidence, claim, "final_test_accuracy_all", sub)


def log_steps_ratio_to_end(evidence: Evidence, claim: Claim) -> Values:
    """ln(steps_against / steps_arm) until test accuracy reaches where `against` ends.

    The target is the mean of the last ten evaluations of `against`, each seed's; None where `arm`
    never reaches it.
    """
    seeds = paired_seeds(evidence, claim)
    arms = ([evidence.curve(claim[v], seed) for seed in seeds] for v in ("arm", "against"))
    return [log_ratio_to(ending(against), arm, against) for arm, against in zip(*arms, strict=True)]


def ending(curve: Curve) -> float:
    """The mean accuracy of the last ten evaluations; beyond reach where there is none."""
    last = [accuracy for _, accuracy in curve[-10:]]
    return math.fsum(last) / len(last) if last else math.inf


def log_steps_ratio_to_plain(evidence: Evidence, claim: Claim) -> Values:
    """ln(steps_against / steps_arm) to the best accuracy of the plain network for that seed.

    Where `against` never gets there, the value lies above what its last step would give; where
    neither does, it is not known; where `arm` alone does not, it is censored.
    """
    values: Values = []
    for seed in evidence.seeds(claim["arm"], claim["against"], PLAIN):
        target = best(evidence.curve(PLAIN, seed))
        arm, against = (evidence.curve(claim[v], seed) for v in ("arm", "against"))
        mine, other = steps_to(arm, target), steps_to(against, target)
        if other is not None:
            values.append(None if mine is None else math.log(other / mine))
        elif mine is not None and against:
            values.append(Above(math.log(against[-1][0] / mine)))
        else:
            values.append(Above(-math.inf))
    return values


def non_finite_parameters(evidence: Evidence, claim: Claim) -> Values:
    """Share of the arm's parameters that are not finite when its run ends."""
    return [r["non_finite_parameters"] for r in evidence.where("runs", variant=claim["arm"])]


def above_chance(evidence: Evidence, claim: Claim) -> Values:
    """Best evaluated accuracy minus the chance bound: the share of the commonest class (1/C where
    classes are equally common) plus three standard errors of the images evaluated. −1 for a run
    that lost its finite numbers before the first evaluation."""
    runs = evidence.where("runs", variant=claim["arm"])
    accuracies = [(r["best_test_accuracy"], r["chance_accuracy"]) for r in runs]
    return [-1.0 if best is None else best - chance for best, chance in accuracies]
