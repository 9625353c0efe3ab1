"""The metrics of the claims on the seven changes: a value a seed, both arms paired.

`arm` has the change, `against` has not.
"""

from operator import sub

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.pairs import paired, paired_seeds
from bnrepro.evidence.statistics import Values, combine
from bnrepro.evidence.steps import best, log_ratio_to

SHARE = 0.95  # of the accuracy that both arms of a pair reach: the target of both
OVERFITS = 0.02  # a change against overfitting is tested where the plain network's gap is larger


def log_steps_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln(steps_against / steps_arm) to 95 % of the accuracy that both reach.

    That is the lower of the two arms' best evaluated accuracies, for each seed. Some arms never
    reach the plain network's best, the target of Figure 3; and to all of the lower best accuracy
    one arm needs its whole run. None where an arm was never evaluated.
    """
    seeds = paired_seeds(evidence, claim)
    curves = [[evidence.curve(claim[v], seed) for v in ("arm", "against")] for seed in seeds]
    return [log_ratio_to(SHARE * min(map(best, pair)), *pair) for pair in curves]


def max_accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    """Best evaluated test accuracy of `arm` minus that of `against`."""
    return paired(evidence, claim, "best_test_accuracy", sub)


def last_accuracy_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last accuracy on all test images of `arm` minus that of `against`."""
    return paired(evidence, claim, "final_test_accuracy_all", sub)


def train_test_gap(evidence: Evidence, claim: Claim) -> Values:
    """Last accuracy of `arm` on its training images, undistorted, minus that on all test images."""
    runs = evidence.where("runs", variant=claim["arm"])
    columns = ("final_train_accuracy", "final_test_accuracy_all")
    return combine(sub, *([run.get(column) for run in runs] for column in columns))
