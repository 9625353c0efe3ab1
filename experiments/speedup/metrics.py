"""The metrics of the claims on how many times fewer steps, and what the figures read with them.

S = T / T′: T the steps of a plain cell, T′ the steps in which the network with BN, its whole decay
inside, ends at the plain cell's last accuracy, log-interpolated between budgets.
"""

import math
from collections.abc import Callable
from statistics import linear_regression

from bnrepro.config.claims import Claim
from bnrepro.evidence.evidence import Evidence, all_seeds, unique
from bnrepro.evidence.statistics import Above, Values, combine, difference
from bnrepro.evidence.sweeps import log_largest_ratio
from bnrepro.evidence.tables import Row

INITS = ("he", "caffe", "gaussian")  # of one replica, clean recipe


def ended(evidence: Evidence, regime: str, arm: str, **key: float) -> list[Row]:
    """The cells of one arm in one regime."""
    return evidence.where("cells", regime=regime, arm=arm, **key)


def places(evidence: Evidence, regime: str, arm: str) -> list[int]:
    """The places that were tried, rising."""
    return sorted(unique(ended(evidence, regime, arm), "place"))


def trains(evidence: Evidence, regime: str, arm: str, place: int, seed: int | None = None) -> bool:
    """Whether a seed (None: every seed) ends above chance with the largest budget at this place."""
    rows = ended(evidence, regime, arm, place=place)
    largest = max(row["budget"] for row in rows)
    chosen = [r for r in rows if r["budget"] == largest and seed in (None, r["seed"])]
    return all(row["outcome"] == "trained" for row in chosen)


def accuracy(
    evidence: Evidence, regime: str, arm: str, place: int, budget: int, seed: int
) -> float:
    """The last accuracy on all test images; 0 where the network lost its finite numbers."""
    (row,) = ended(evidence, regime, arm, place=place, budget=budget, seed=seed)
    return row["accuracy"] or 0.0


def budgets(evidence: Evidence, regime: str, arm: str = "bn") -> list[int]:
    """The budgets of an arm in a regime, rising."""
    return sorted(unique(ended(evidence, regime, arm), "budget"))


def best_place(evidence: Evidence, regime: str, arm: str, budget: int) -> int:
    """The place with the highest mean accuracy over the seeds; of equals the lower one."""
    seeds = all_seeds(evidence)

    def mean(place: int) -> float:
        each = [accuracy(evidence, regime, arm, place, budget, seed) for seed in seeds]
        return sum(each) / len(each)

    return max(places(evidence, regime, arm), key=lambda place: (mean(place), -place))


def base_place(evidence: Evidence, regime: str) -> int:
    """The paper's protocol: two places below the lowest, above the plain network's best, at which a
    seed of it does not train."""
    tried = places(evidence, regime, "plain")
    best = best_plain(evidence, regime)[0]["place"]
    lost = [k for k in tried if k > best and not trains(evidence, regime, "plain", k)]
    return min(lost, default=tried[-1] + 1) - 2


def log_speedup(
    evidence: Evidence, plain: Row, bn_regime: str, place: int | None = None
) -> float | None:
    """ln S of a plain cell, with BN at a place (None: its best place at each budget).

    A bound where the smallest budget suffices; None where the largest does not.
    """
    reached: list[tuple[int, float]] = []
    for budget in budgets(evidence, bn_regime):
        k = best_place(evidence, bn_regime, "bn", budget) if place is None else place
        reached.append((budget, accuracy(evidence, bn_regime, "bn", k, budget, plain["seed"])))
    target, total = plain["accuracy"] or 0.0, plain["budget"]
    for i, (budget, value) in enumerate(reached):
        if value >= target:
            if i == 0:
                return Above(math.log(total / budget))
            before, low = reached[i - 1]
            share = (target - low) / (value - low)
            return math.log(total / before) - share * math.log(budget / before)
    return None


def plain_cells(evidence: Evidence, regime: str, place: int) -> list[Row]:
    """The plain cells of a place, by seed."""
    return sorted(ended(evidence, regime, "plain", place=place), key=lambda row: row["seed"])


def log_tuned_speedup(evidence: Evidence, claim: Claim) -> Values:
    """ln S of the plain network at its best rate against BN at its best rate for each budget.

    `against`: the regime of BN's cells, where it is not the plain network's.
    """
    regime, other = claim["regime"], str(claim.get("against", claim["regime"]))
    if not ended(evidence, regime, "plain"):
        return []
    return [log_speedup(evidence, row, other) for row in best_plain(evidence, regime)]


def best_plain(evidence: Evidence, regime: str) -> list[Row]:
    """The plain cells at their best place, by seed."""
    (total,) = budgets(evidence, regime, "plain")
    return plain_cells(evidence, regime, best_place(evidence, regime, "plain", total))


def log_tuned_growth(evidence: Evidence, claim: Claim) -> Values:
    """ln S in a regime minus ln S in the one that it stands `against`, both arms at their best.

    Where the first is a lower bound, so is the difference; where the second is, it is not known.
    """
    regimes = (claim["regime"], claim["against"])
    each = ([log_speedup(evidence, row, r) for row in best_plain(evidence, r)] for r in regimes)
    return [difference(high, low) for high, low in zip(*each, strict=True)]


def log_protocol_speedup(evidence: Evidence, claim: Claim) -> Values:
    """ln S of the plain network at the protocol's base rate against BN at a multiple of it.

    `steps_up`: how many places up BN's rate is; 2 are a factor of 5.
    """
    regime = claim["regime"]
    base = base_place(evidence, regime)
    cells = plain_cells(evidence, regime, base)
    return [log_speedup(evidence, row, regime, base + claim["steps_up"]) for row in cells]


def log_cell_speedup(evidence: Evidence, claim: Claim) -> Values:
    """ln S of the plain network at a named place against BN at its best rate for each budget."""
    regime = claim["regime"]
    return [
        log_speedup(evidence, row, regime)
        for row in plain_cells(evidence, regime, claim["place"])
        if row["outcome"] == "trained"
    ]


def log_highest_rate_ratio(evidence: Evidence, claim: Claim) -> Values:
    """ln of BN's highest rate that trains over the plain network's, by seed.

    A rate trains where the last accuracy with the largest budget is above chance. A bound at an end
    of the grid, as `evidence.sweeps.log_largest_ratio` says.
    """
    regime, values = claim["regime"], list[float | None]()
    for seed in all_seeds(evidence):
        rates: list[list[float]] = []
        for arm in ("bn", "plain"):
            tried = places(evidence, regime, arm)
            trained = [k for k in tried if trains(evidence, regime, arm, k, seed)]
            rates += [[5 ** (k / 2) for k in each] for each in (trained, tried)]
        values.append(log_largest_ratio(*rates))
    return values


def _outcomes(evidence: Evidence, claim: Claim, arm: str, is_so: Callable[[Row], bool]) -> Values:
    regime = claim["regime"]
    place = base_place(evidence, regime) + claim["steps_up"]
    largest = budgets(evidence, regime, arm)[-1]
    return [float(is_so(r)) for r in ended(evidence, regime, arm, place=place, budget=largest)]


def plain_not_finite(evidence: Evidence, claim: Claim) -> Values:
    """1 for a seed whose plain network loses its finite numbers `steps_up` places up."""
    return _outcomes(evidence, claim, "plain", lambda row: row["outcome"] == "non-finite")


def plain_untrained(evidence: Evidence, claim: Claim) -> Values:
    """1 for a seed whose plain network does not train `steps_up` places above the base."""
    return _outcomes(evidence, claim, "plain", lambda row: row["outcome"] != "trained")


def bn_trained(evidence: Evidence, claim: Claim) -> Values:
    """1 for a seed whose network with BN trains `steps_up` places above the base."""
    return _outcomes(evidence, claim, "bn", lambda row: row["outcome"] == "trained")


def speedup_slope(evidence: Evidence, claim: Claim) -> Values:
    """The slope of ln S over ln of the plain network's rate, least squares, by seed.

    Over the places at which every seed trains and BN gets there; BN at its best rate for each
    budget. Where S is only known to lie above a number, nothing is known of the slope.
    """
    regime, slopes = claim["regime"], list[float | None]()
    kept = [k for k in places(evidence, regime, "plain") if trains(evidence, regime, "plain", k)]
    for seed in all_seeds(evidence):
        rows = [r for k in kept for r in plain_cells(evidence, regime, k) if r["seed"] == seed]
        points = [(math.log(r["rate"]), log_speedup(evidence, r, regime)) for r in rows]
        known = [(x, y) for x, y in points if y is not None]
        if any(isinstance(y, Above) for _, y in known):
            slopes.append(Above(-math.inf))
        else:
            slopes.append(
                linear_regression(*zip(*known, strict=True)).slope if len(known) > 1 else None
            )
    return slopes


def init_spread_gain(evidence: Evidence, claim: Claim) -> Values:
    """How much more the last accuracy varies over initialisations without BN than with it.

    The range over He's, Caffe's and the Gaussian initialisation with one replica, at `place`: of
    the plain networks after T steps minus that of the networks with BN after `budget` steps. None
    where BN trains with none of the three: nothing varies then.
    """
    place, budget, values = claim["place"], claim["budget"], list[float | None]()
    regimes = [r["regime"] for i in INITS for r in evidence.where("cells", init=i, replicas=1)[:1]]
    for seed in all_seeds(evidence):
        ranges = []
        for arm, steps in (("plain", budgets(evidence, regimes[0], "plain")[0]), ("bn", budget)):
            each = [accuracy(evidence, r, arm, place, steps, seed) for r in regimes]
            ranges.append(max(each) - min(each))
        cells = [r for i in regimes for r in ended(evidence, i, "bn", place=place, budget=budget)]
        trained = any(r["outcome"] == "trained" for r in cells if r["seed"] == seed)
        values.append(ranges[0] - ranges[1] if trained else None)
    return values


def log_faster_than_base(evidence: Evidence, claim: Claim) -> Values:
    """ln(T′ at the base rate / T′ `steps_up` places above it), both with BN.

    To the accuracy of the plain network at the base rate; empty where BN was not tried at it.
    """
    regime, values = claim["regime"], list[float | None]()
    base = base_place(evidence, regime)
    if base not in places(evidence, regime, "bn"):
        return []
    for row in plain_cells(evidence, regime, base):
        high = log_speedup(evidence, row, regime, base + claim["steps_up"])
        low = log_speedup(evidence, row, regime, base)
        if high is None:
            values.append(None)
        elif low is None:  # the base rate needs more than the largest budget
            least = math.log(row["budget"] / budgets(evidence, regime)[-1])
            values.append(Above(high - least))
        else:
            values.append(difference(high, low))
    return values


def final_gain(evidence: Evidence, claim: Claim) -> Values:
    """Last accuracy with BN's largest budget: `steps_up` places above the base minus `against`."""
    regime = claim["regime"]
    base, budget = base_place(evidence, regime), budgets(evidence, regime)[-1]
    return [
        accuracy(evidence, regime, "bn", base + claim["steps_up"], budget, seed)
        - accuracy(evidence, regime, "bn", base + claim["against"], budget, seed)
        for seed in all_seeds(evidence)
    ]


def log_recipe_share(evidence: Evidence, claim: Claim) -> Values:
    """ln S with the paper's recipe for the plain network minus ln S with the clean one.

    Both at the protocol's base rate of the clean regime, BN `steps_up` places above it; empty where
    the paper's recipe was not tried at that rate.
    """
    regime, recipe = claim["regime"], claim["against"]
    base = base_place(evidence, regime)
    if base not in places(evidence, recipe, "plain"):
        return []
    place = base + claim["steps_up"]
    cells = (plain_cells(evidence, name, base) for name in (recipe, regime))
    logs = ([log_speedup(evidence, row, regime, place) for row in rows] for rows in cells)
    return combine(difference, *logs)
