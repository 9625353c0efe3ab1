"""How the base rate and the speed of its decay were found, and what the multipliers do."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.statistics import known
from bnrepro.evidence.steps import steps_to
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.curves import mark_diverged, step_axis
from bnrepro.plots.panels import legend_in, panels, ticks_at
from bnrepro.plots.style import Arm, arm
from experiments.inception_grid.metrics import cells_of, chosen, curve, kind, plain_target

NAMES = {
    "rate": "Inception, base rate",
    "fast": "BN-x5, decay faster by",
    "multiplier": "BN-x5's network, multiple of the base rate",
    "rate_bn_baseline": "BN-Baseline, own rate",
    "rate_bn_x5": "BN-x5's network, own rate",
}
RATES = {"rate": "inception", "rate_bn_baseline": "bn_baseline", "rate_bn_x5": "bn_x5"}
SHADES = ("#9ecae1", "#4a90c2", "#00335c", "#111111")
DOTTED: dict[str, Any] = {"color": "#888888", "linewidth": 0.8, "linestyle": (0, (2, 3))}
TUNING = 1000  # seeds from here on are for tuning; none of them is reported


def name_of(search: str) -> str:
    """A search in words; one of other values with its own name."""
    name = NAMES[kind(search)]
    return name if search in NAMES else f"{name} ({search})"


def searches(evidence: Evidence) -> Figure:
    """What was chosen on held-out images before the runs of Section 4.2: the rate with which a
    network ends highest, and the fastest decay with which BN-x5 still reaches Inception's best.
    Multiples of the base rate show what a higher rate does to BN-x5; `ensemble` takes the best.

    A panel a kind of search; those that did not run have none.
    """
    shown = [each for each in PANELS if cells_of(evidence, each)] or ["rate"]
    figure, (axes,) = panels(1, len(shown), (4.6 * len(shown), 4))
    for search, axis, letter in zip(shown, axes, "abc", strict=False):
        PANELS[search](axis, evidence)
        axis.set_title(f"({letter}) {axis.get_title()}", fontsize=11)
    seeds = unique(evidence.cells, "seed")
    words = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    if len(seeds) == 1 and seeds[0] >= TUNING:
        words = "one seed that is used for nothing else"
    figure.suptitle(f"Searches on held-out training images, {words}")
    return figure


def rate_panel(axis: Axes, evidence: Evidence) -> None:
    """Last accuracy by the rate, in short runs and in full ones: the plain network's, and that of
    the arms whose own best rates were searched for."""
    cells = [cell for search in RATES for cell in cells_of(evidence, search)]
    searched = [search for search in RATES if cells_of(evidence, search)]
    for search, network in RATES.items():
        rate_lines(axis, cells_of(evidence, search), arm(network), len(searched) > 1)
    for search in unique(cells, "variant"):
        for winner in known([chosen(evidence, search)]):
            axis.axvline(winner, **DOTTED)
    name, several = arm("inception").label, len(searched) > 1
    value_axis(axis, cells, "learning rate" if several else f"learning rate of {name} without BN")
    title = "own rates (squares: in full)" if several else f"base rate of {name}"
    axis.set(title=f"{title}; dotted: chosen", ylabel="last validation accuracy, %")
    if several:
        axis.set_ylim(0, 1.4 * axis.get_ylim()[1])  # room for the legend
        axis.tick_params(axis="x", labelrotation=30)
    legend_in(axis, loc="upper left" if several else "lower left")


def rate_lines(axis: Axes, cells: Sequence[Row], look: Arm, named: bool) -> None:
    """One search's accuracies: circles for the short runs, squares for the full ones."""
    for short, marker in ((True, "o"), (False, "s")):
        found = [c for c in cells if c["round"].startswith("finalist") != short]
        points = accuracies(found, "final_test_accuracy_all")
        if points:
            (line,) = axis.plot(*zip(*points, strict=True), marker, **look.line)
            text = f"{found[0]['steps']:,} steps"
            line.set_label(f"{look.label}, {text}" if named and short else "" if named else text)
            line.set(**({"mfc": "white"} if short else {"linestyle": "none"}))


def accuracies(cells: Sequence[Row], column: str) -> list[tuple[float, float]]:
    """Values and accuracies in per cent of the runs that stayed finite, in order."""
    return sorted((c["value"], 100 * c[column]) for c in cells if c[column] is not None)


def speed_panel(axis: Axes, evidence: Evidence) -> None:
    """Accuracy over steps for every speed of the decay, and the plain network's best."""
    for cell, shade in zip(cells_of(evidence, "fast"), cycle(SHADES), strict=False):
        is_chosen = cell["value"] == chosen(evidence, cell["variant"])
        label = f"{cell['value']:g} times{', chosen' if is_chosen else ''}"
        points = [(step, 100 * accuracy) for step, accuracy in curve(evidence, cell)]
        if points:
            width = 2.4 if is_chosen else 1.2
            axis.plot(*zip(*points, strict=True), color=shade, label=label, linewidth=width)
        step = cell["first_non_finite_step"]
        mark_diverged(axis, [] if step is None else [step], shade, f"{label}: diverged")
    if (target := plain_target(evidence)) is not None:
        line = arm("inception").line
        axis.axhline(100 * target, linewidth=1, label="Inception's best", **line)
    step_axis(axis)
    axis.set(xlabel="training step of 32 examples", ylabel="validation accuracy, %")
    axis.set_title("BN-x5, the rate decaying so many times faster")
    legend_in(axis)


def multiplier_panel(axis: Axes, evidence: Evidence) -> None:
    """The steps of the network with BN to the plain network's best; where that was not searched
    for, its last accuracy."""
    cells, target = cells_of(evidence, "multiplier"), plain_target(evidence)
    axis.set_title("BN-x5's network")
    if target is None:
        if points := accuracies(cells, "final_test_accuracy_all"):
            axis.plot(*zip(*points, strict=True), "o-", color=arm("bn_x5").colour)
        axis.set(ylim=(0, None), ylabel="last validation accuracy, %")
    else:
        steps_to_target(axis, evidence, cells, target)
    value_axis(axis, cells, "multiple of the base rate")


def steps_to_target(axis: Axes, evidence: Evidence, cells: Sequence[Row], target: float) -> None:
    """Steps by the multiple of the rate; a triangle where the budget was not enough."""
    steps = [(cell["value"], steps_to(curve(evidence, cell), target)) for cell in cells]
    if reached := [(value, step) for value, step in steps if step is not None]:
        axis.plot(*zip(*reached, strict=True), "o", color=arm("bn_x5").colour)
    top = max(cell["steps"] for cell in cells)
    axis.axhline(top, **DOTTED)
    for value in (value for value, step in steps if step is None):
        axis.plot(value, top, "^", color=arm("bn_x5").colour)
        axis.annotate("never", (value, top), (0, -14), textcoords="offset points", ha="center")
    axis.set(ylim=(0, 1.1 * top), ylabel="steps to Inception's best")
    axis.set_title("rate of BN-x5's network; dotted: its budget")


def value_axis(axis: Axes, cells: Sequence[Row], label: str) -> None:
    """A logarithmic axis with a tick at every value that was tried, a cross where it diverged."""
    lost = sorted({cell["value"] for cell in cells if cell["outcome"] == "non-finite"})
    mark_diverged(axis, lost, "#b23a00", "diverged")
    axis.set(xscale="log", xlabel=label)
    ticks_at(axis.xaxis, sorted(unique(cells, "value")))


PANELS = {"multiplier": multiplier_panel, "rate": rate_panel, "fast": speed_panel}


FIGURES = {"searches": searches}


def tables(evidence: Evidence) -> list[Table]:
    """The runs of all searches."""
    return [run_rows(evidence)]


def run_rows(evidence: Evidence) -> Table:
    """Every run of the searches: header first. ★ marks what was chosen."""
    header = ["search", "value", "round", "steps", "last validation accuracy", "best",
              "steps to Inception's best"]  # fmt: skip
    body = []
    for cell in evidence.cells:
        is_chosen = cell["value"] == chosen(evidence, cell["variant"])
        value = f"{cell['value']:g}{' ★' if is_chosen else ''}"
        shown = [name_of(cell["variant"]), value, cell["round"], f"{cell['steps']:,}"]
        body.append([*shown, *ending(evidence, cell)])
    return [header, *body]


def ending(evidence: Evidence, cell: Row) -> list[str]:
    """Last and best accuracy of a run, and its steps to the plain network's best."""
    if cell["outcome"] == "non-finite":
        return [f"non-finite at step {cell['first_non_finite_step']:,}", "–", "–"]
    shown = [f"{cell[column]:.4f}" for column in ("final_test_accuracy_all", "best_test_accuracy")]
    if (target := plain_target(evidence)) is None:
        return [*shown, "–"]
    steps = steps_to(curve(evidence, cell), target)
    return [*shown, f"{steps:,.0f}" if steps else "never"]


def highest_text(cells: Sequence[Row]) -> str:
    """The multiple with which the network with BN ends highest."""
    ends = [(accuracy, value) for value, accuracy in accuracies(cells, "final_test_accuracy_all")]
    if not ends:
        return "The searches are not complete."
    best, value = max(ends)
    return (
        f"On the held-out images BN-x5's network ends highest, at {best:.1f} %, with {value:g} "
        "times the base rate."
    )


def chosen_text(evidence: Evidence) -> str:
    """The values that the searches chose."""
    each = [(search, chosen(evidence, search)) for search in unique(evidence.runs, "variant")]
    found = ", ".join(f"{name_of(search)} {value:g}" for search, value in each if value is not None)
    return f"Chosen on the held-out images: {found}." if found else "No search is finished."


def answer(evidence: Evidence) -> str:
    """What the multipliers do."""
    target, cells = plain_target(evidence), cells_of(evidence, "multiplier")
    if not cells or target is None:
        return highest_text(cells) if cells else chosen_text(evidence)
    steps = {f"×{c['value']:g}": steps_to(curve(evidence, c), target) for c in cells}
    reached = ", ".join(f"{n:,} ({name})" for name, n in steps.items() if n is not None)
    never = " and ".join(name for name, n in steps.items() if n is None)
    return (
        f"On the held-out images BN-x5's network reaches the best accuracy of Inception's "
        f"{cells[0]['steps']:,} steps after {reached or 'none'} of them, by the multiple of the "
        f"base rate{f'; with {never} never' if never else ''}."
    )
