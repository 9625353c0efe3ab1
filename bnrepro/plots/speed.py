"""How many times as fast as another an arm gets to a target, in steps and in seconds."""

from collections.abc import Sequence

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.steps import speed_up

SHARES = (1.0, 0.98, 0.95, 0.90)  # of the plain arm's best accuracy
Pair = tuple[str, str]  # the arm, and the one it is compared with


def speed_rows(
    evidence: Evidence, pairs: Sequence[Pair], shares: Sequence[float] = SHARES
) -> list[list[str]]:
    """To each seed's own target, paired by seed: header first."""
    rows = [["times as fast, geometric mean", "pair", "in steps", "in seconds"]]
    for fast, plain in pairs:
        if {fast, plain} <= set(evidence.variants):
            for share in shares:
                target = "the plain arm's best accuracy"
                target = target if share == 1 else f"{share:.0%} of {target}"
                ratios = (speed(evidence, fast, plain, share, axis) for axis in ("step", "wall_s"))
                rows.append([f"to {target}", f"{fast} : {plain}", *ratios])
    return rows


def same_machine(evidence: Evidence, one: str, other: str, seed: int) -> bool:
    """Whether a seed's runs of two arms were made on the same hardware."""
    machines = (evidence.run(variant, seed).get("hardware") for variant in (one, other))
    return len(set(machines)) == 1


def speed(evidence: Evidence, fast: str, plain: str, share: float = 1, axis: str = "step") -> str:
    """How many times as fast as `plain` the arm `fast` gets to a share of the plain arm's best.

    Seconds are compared where both runs of a seed were made on the same kind of machine.
    """
    seeds = evidence.seeds(fast, plain)
    if axis == "wall_s":
        seeds = [seed for seed in seeds if same_machine(evidence, fast, plain, seed)]
    against, arm_curves = ([evidence.curve(v, s, axis) for s in seeds] for v in (plain, fast))
    return speed_up(against, arm_curves, share).text()
