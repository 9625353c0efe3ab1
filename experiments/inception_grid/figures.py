"""How the base rate and the speed of its decay were found, and what the multipliers do."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.steps import steps_to
from bnrepro.experiment import Table
from bnrepro.plots.curves import thousands
from bnrepro.plots.style import RC, arm
from experiments.inception_grid.metrics import chosen, curve, plain_target

NAMES = {
    "rate": "Inception, base rate",
    "fast": "BN-x5, decay faster by",
    "multiplier": "BN-x5's network, multiple of the base rate",
}
SHADES = ("#9ecae1", "#4a90c2", "#00335c", "#111111")


def tables(evidence: Evidence) -> list[Table]:
    """The runs of all searches."""
    return [run_rows(evidence)]


def answer(evidence: Evidence) -> str:
    """What the multipliers do."""
    target = plain_target(evidence)
    cells = evidence.where("cells", variant="multiplier")
    if target is None or not cells:
        return "The searches are not complete."
    steps = {f"×{c['value']:g}": steps_to(curve(evidence, c), target) for c in cells}
    reached = ", ".join(f"{n:,} ({name})" for name, n in steps.items() if n is not None)
    never = " and ".join(name for name, n in steps.items() if n is None)
    return (
        f"On the held-out images BN-x5's network reaches the best accuracy of Inception's "
        f"{cells[0]['steps']:,} steps after {reached or 'none'} of them, by the multiple of the "
        f"base rate{f'; with {never} never' if never else ''}."
    )


def run_rows(evidence: Evidence) -> list[list[str]]:
    """Every run of the searches: header first. ★ marks what was chosen."""
    header = ["search", "value", "round", "steps", "last validation accuracy", "best",
              "steps to Inception's best"]  # fmt: skip
    body = []
    for cell in evidence.cells:
        is_chosen = cell["value"] == chosen(evidence, cell["variant"])
        value = f"{cell['value']:g}{' ★' if is_chosen else ''}"
        name = NAMES[cell["variant"]]
        body.append([name, value, cell["round"], f"{cell['steps']:,}", *_reached(evidence, cell)])
    return [header, *body]


def _reached(evidence: Evidence, cell: dict[str, Any]) -> list[str]:
    if cell["outcome"] == "non-finite":
        return [f"non-finite at step {cell['first_non_finite_step']:,}", "–", "–"]
    target = plain_target(evidence)
    steps = steps_to(curve(evidence, cell), target) if target is not None else None
    shown = f"{steps:,.0f}" if steps else "never"
    accuracies = (cell["final_test_accuracy_all"], cell["best_test_accuracy"])
    return [*(f"{a:.4f}" for a in accuracies), shown]


def searches(evidence: Evidence) -> Figure:
    """(a) the plain network's rate; (b) the speed of decay; (c, d) what the multipliers do."""
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 2, figsize=(11, 7.4), layout="constrained")
        _rate_panel(axes[0, 0], evidence)
        _speed_panel(axes[0, 1], evidence)
        _accuracy_panel(axes[1, 0], evidence)
        _steps_panel(axes[1, 1], evidence)
        figure.suptitle("Searches on held-out training images, one seed that is not reported")
    return figure


def _rate_panel(axis: Axes, evidence: Evidence) -> None:
    cells = [c for c in evidence.cells if c["variant"] == "rate"]
    look = arm("inception")
    for short, marker in ((True, "o"), (False, "s")):
        own = [c for c in cells if c["round"].startswith("finalist") != short]
        own.sort(key=lambda c: c["value"])
        known = [(c["value"], 100 * c["final_test_accuracy_all"]) for c in own if _finite(c)]
        if known:
            face = "white" if short else look.colour
            dash = look.dash if short else "none"
            axis.plot(*zip(*known, strict=True), color=look.colour, linestyle=dash, marker=marker,
                      mfc=face, label=f"{own[0]['steps']:,} steps")  # fmt: skip
    _diverged(axis, cells)
    winner = chosen(evidence, "rate")
    if winner:
        axis.axvline(winner, color="#888888", linewidth=0.8, linestyle=(0, (2, 3)))
    _value_axis(axis, cells, "learning rate of Inception without BN")
    axis.set_ylabel("last validation accuracy, %")
    axis.set_title("(a) the base rate; dotted: chosen")
    axis.legend(loc="lower left")


def _finite(cell: dict[str, Any]) -> bool:
    return cell["final_test_accuracy_all"] is not None


def _diverged(axis: Axes, cells: Sequence[dict[str, Any]]) -> None:
    """A cross at the foot of the axis for every value that left the finite numbers."""
    values = sorted({c["value"] for c in cells if not _finite(c)})
    if values:
        axis.plot(values, [0.03] * len(values), "x", color="#b23a00", clip_on=False,
                  transform=axis.get_xaxis_transform(), label="diverged")  # fmt: skip


def _speed_panel(axis: Axes, evidence: Evidence) -> None:
    cells = [c for c in evidence.cells if c["variant"] == "fast"]
    for cell, shade in zip(cells, SHADES, strict=False):
        points = curve(evidence, cell)
        if points:
            steps, values = zip(*points, strict=True)
            is_chosen = cell["value"] == chosen(evidence, "fast")
            label = f"{cell['value']:g} times{', chosen' if is_chosen else ''}"
            axis.plot(steps, [100 * v for v in values], color=shade, label=label,
                      linewidth=2.4 if is_chosen else 1.2)  # fmt: skip
    _target_line(axis, evidence)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(thousands())
    axis.set_xlabel("training step of 32 examples")
    axis.set_ylabel("validation accuracy, %")
    axis.set_title("(b) BN-x5 when its rate falls so many times faster")
    axis.legend(loc="lower right")


def _target_line(axis: Axes, evidence: Evidence) -> None:
    target = plain_target(evidence)
    if target is not None:
        look = arm("inception")
        axis.axhline(100 * target, color=look.colour, linestyle=look.dash, linewidth=1,
                     label="Inception's best")  # fmt: skip


def _accuracy_panel(axis: Axes, evidence: Evidence) -> None:
    cells = [c for c in evidence.cells if c["variant"] == "multiplier"]
    known = [(c["value"], 100 * c["best_test_accuracy"]) for c in cells if _finite(c)]
    if known:
        axis.plot(*zip(*known, strict=True), "o", color=arm("bn_x5").colour, label="with BN")
    _diverged(axis, cells)
    _target_line(axis, evidence)
    _value_axis(axis, cells, "multiple of the base rate")
    axis.set_ylabel("best validation accuracy, %")
    axis.set_title("(c) BN-x5's network at multiples of the base rate")
    axis.legend(loc="lower left")


def _steps_panel(axis: Axes, evidence: Evidence) -> None:
    cells = [c for c in evidence.cells if c["variant"] == "multiplier"]
    target = plain_target(evidence)
    if cells and target is not None:
        steps = [(c["value"], steps_to(curve(evidence, c), target)) for c in cells]
        known = [(v, s) for v, s in steps if s is not None]
        never = [v for v, s in steps if s is None]
        if known:
            axis.plot(*zip(*known, strict=True), "o", color=arm("bn_x5").colour)
        top = max(c["steps"] for c in cells)
        axis.set_ylim(0, 1.1 * top)
        axis.axhline(top, color="#888888", linewidth=0.8, linestyle=(0, (2, 3)))
        for value in never:
            axis.plot(value, top, "^", color="#b23a00")
            axis.annotate("never", (value, top), (0, -14), textcoords="offset points", ha="center")
    _value_axis(axis, cells, "multiple of the base rate")
    axis.set_ylabel("steps to Inception's best")
    axis.set_title("(d) how soon it matches Inception; dotted: budget")


def _value_axis(axis: Axes, cells: Sequence[dict[str, Any]], label: str) -> None:
    """A logarithmic axis with a tick at every value that was tried."""
    axis.set_xscale("log")
    values = sorted({c["value"] for c in cells})
    axis.set_xticks(values, [f"{v:g}" for v in values])
    axis.minorticks_off()
    axis.set_xlabel(label)


FIGURES = {"searches": searches}
