"""The tables on internal covariate shift: distributions, gradients, speed."""

from collections.abc import Mapping
from itertools import product

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import Values, mean, mean_text, power_text, ratio_text
from bnrepro.experiment import Table
from bnrepro.plots.style import ARMS, Arm, nonlinearity
from experiments.covariate_shift.metrics import (
    Network,
    at_best_rate,
    compared,
    control,
    last_step,
    log_ratios,
    log_steps_of,
    means,
    steps_by_seed,
)

PARTS = {"total": "in all", "mean": "mean", "scale": "scale", "shape": "shape"}
WHAT = {"u": "u, the layer's input", "a": "a, the nonlinearity's input"}
RATES = {"same": "both at the plain network's best rate", "best": "each at its best rate"}
SHARE = 0.95  # of the plain network's best accuracy
SHARES = (0.9, SHARE, 0.98)


def activations_of(evidence: Evidence) -> list[str]:
    """The activations of the networks trained."""
    return unique(evidence.accuracy, "activation")


def networks_of(evidence: Evidence, activation: str) -> list[tuple[Network, Arm]]:
    """The plain network, BN at the same rate and BN at its best, each with its look."""
    same, plain = compared(evidence, activation, "same")
    best, _ = compared(evidence, activation, "best")
    return [
        (plain, ARMS["baseline"]),
        (same, Arm("with BN, same rate", *ARMS["bn"][1:])),
        (best, Arm("with BN, its best rate", *ARMS["bn_tuned"][1:])),
    ]


def speeds_of(evidence: Evidence, activation: str) -> list[tuple[Network, Arm]]:
    """The plain network, BN, and BN with each strength of noise, at their best rates."""
    noise = unique(evidence.where("accuracy", activation=activation, arm="bn_noise"), "noise")
    arms = [
        (Network(activation), ARMS["baseline"]),
        (Network(activation, "bn"), ARMS["bn"]),
        *((Network(activation, "bn_noise", k), ARMS["bn_noise"]) for k in noise),
    ]
    return [(at_best_rate(evidence, network), arm) for network, arm in arms]


def name_of(network: Network, arm: Arm) -> str:
    """A network in words: its arm and its noise."""
    return arm.label + (f", κ = {network.noise:g}" if network.noise else "")


def lags_of(evidence: Evidence) -> list[int]:
    """The lags over which drift was measured."""
    return sorted(unique(evidence.drift, "lag"))


def tables(evidence: Evidence) -> list[Table]:
    """Drift at both pairs of rates, gradients, speed."""
    drifts = (drift_table(evidence, rates) for rates in RATES)
    return [*drifts, gradient_table(evidence), speed_table(evidence)]


def drift_table(evidence: Evidence, rates: str) -> list[list[str]]:
    """How far units' distributions move with BN, divided by how far without."""
    rows = [[f"drift with BN / without, {RATES[rates]}", "lag, steps", *PARTS.values()]]
    for activation, what, lag in product(activations_of(evidence), WHAT, lags_of(evidence)):
        networks = compared(evidence, activation, rates)
        each = (log_ratios(evidence, "drift", part, networks, what=what, lag=lag) for part in PARTS)
        ratios = (ratio_text(logs, lost="–") for logs in each)
        rows.append([f"{nonlinearity(activation)}, {WHAT[what]}", f"{lag:,}", *ratios])
    return rows


def gradient_table(evidence: Evidence) -> list[list[str]]:
    """How far gradients move when the layers below are updated."""
    header = ["change of ∂ℓ/∂W by the layers below", "rate", "‖G′ − G‖/‖G‖", "cosine"]
    rows = [[*header, "‖G′ − G‖/‖G‖ with BN / without"]]
    for activation in activations_of(evidence):
        networks = networks_of(evidence, activation)
        for network, arm in networks:
            each = (means(evidence, "gradient", c, network) for c in ("distance", "cosine"))
            texts = [mean_text(values, 3, lost="–") for values in each]
            ratios = log_ratios(evidence, "gradient", "distance", (network, networks[0][0]))
            ratio = "1" if network.arm == "baseline" else ratio_text(ratios, lost="–")
            name = f"{nonlinearity(activation)}, {arm.label}"
            rows.append([name, f"{network.lr:g}", *texts, ratio])
    return rows


def speed_table(evidence: Evidence) -> list[list[str]]:
    """What noise behind BN does to the drift and to the steps that training takes."""
    shares = [f"steps to {100 * share:g} %" for share in SHARES]
    header = ["each at its best rate", "rate", *(f"drift of {what}" for what in WHAT)]
    rows = [[*header, *shares, "last accuracy, %"]]
    for activation in activations_of(evidence):
        for network, arm in speeds_of(evidence, activation):
            logs = (means(evidence, "drift", "total", network, log=True, what=w) for w in WHAT)
            drifts = [ratio_text(each, lost="–") for each in logs]
            steps = [steps_text(steps_by_seed(evidence, network, share)) for share in SHARES]
            last = means(evidence, "accuracy", "accuracy", network, step=last_step(evidence))
            accuracy = mean_text(last, 2, 100, limits=(0, 1))
            name = f"{nonlinearity(activation)}, {name_of(network, arm)}"
            rows.append([name, f"{network.lr:g}", *drifts, *steps, accuracy])
    return rows


def steps_text(steps: list[float | None]) -> str:
    """Every seed's steps."""
    return ", ".join("never" if step is None else f"{step:,}" for step in steps)


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    u, shape, a = (
        same_rate(evidence, "drift", column, what=what)
        for what, column in (("u", "total"), ("u", "shape"), ("a", "total"))
    )
    gradient = same_rate(evidence, "gradient", "distance")
    text = (
        f"At the same rate u moves {u} times as far with BN as without, its shape {shape} times, "
        f"and a {a} times; the layers below change gradients {gradient} times as much"
    )
    drift, steps = controls(evidence)
    if not drift:
        return f"{text}."
    return (
        f"{text}. With the weakest noise behind BN that moves a further than without BN, "
        f"{drift} times as far, training takes {steps} times the steps of the plain network to "
        f"{100 * SHARE:g} % of its accuracy; table.md has stronger noise."
    )


def same_rate(evidence: Evidence, table: str, column: str, **values: object) -> str:
    """BN's ratio to the plain network at the plain one's best rate, for each activation."""
    pairs = {name: compared(evidence, name, "same") for name in activations_of(evidence)}
    return listed({n: log_ratios(evidence, table, column, p, **values) for n, p in pairs.items()})


def controls(evidence: Evidence) -> tuple[str, str]:
    """What noise does: drift of a and steps, relative to the plain network, for each activation."""
    found = {name: control(evidence, name) for name in activations_of(evidence)}
    pairs = {n: (k, at_best_rate(evidence, Network(n))) for n, k in found.items() if k is not None}
    drifts = {n: log_ratios(evidence, "drift", "total", p, what="a") for n, p in pairs.items()}
    steps = {n: log_steps_of(evidence, pair, SHARE) for n, pair in pairs.items()}
    return listed(drifts), listed(steps)


def listed(each: Mapping[str, Values]) -> str:
    """Geometric means over seeds, without their intervals, by activation."""
    texts = {name: power_text(mean(values), ".2g", "–") for name, values in each.items()}
    return " and ".join(f"{text} ({nonlinearity(name)})" for name, text in texts.items())
