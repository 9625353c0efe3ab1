"""Figure 4: the error by number of networks and of crops, and what each of them takes off it."""

import statistics
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import FEWEST, known, mean, mean_text
from bnrepro.experiment import Table
from bnrepro.plots.panels import legend_in, panels, ticks_at
from bnrepro.plots.style import on_data
from experiments.ensemble.gather import BASE, RULES
from experiments.ensemble.metrics import errors, members
from experiments.ensemble.tables import (
    PAPERS_MULTIPLE,
    Errors,
    agreement_table,
    crop_count,
    figure_4,
    gain_table,
    gains,
    member_table,
    one,
    single,
    subset_table,
    together,
)

ONE_CROP: dict[str, Any] = {"color": "#bf812d", "linestyle": (0, (5, 2))}
MANY: dict[str, Any] = {"color": "#01665e", "linestyle": "-"}
SINGLE: dict[str, Any] = {"color": "#8a8a8a", "linestyle": (0, (1, 1))}
BARS = {  # of the gains that the third panel shows
    "144 crops for one, of a member": "144 crops",
    "all members for one, with one crop": "all networks",
    "both: all members with 144 crops for one with one": "both",
}


def errors_figure(evidence: Evidence) -> Figure:
    """The more networks are averaged over, the fewer errors (a); crops of an image beyond its
    mirror image add errors instead (b). What each gains or costs, and both together (c)."""
    figure, ((networks, crops, taken),) = panels(1, 3, (13, 4.2))
    networks_panel(networks, evidence)
    crops_panel(crops, evidence)
    gains_panel(taken, evidence)
    low, high = zip(networks.get_ylim(), crops.get_ylim(), strict=True)
    for axis in (networks, crops):
        room = 0.35 * (max(high) - min(low))  # for the legends
        axis.set_ylim(min(low), max(high) + room)
    images = max((row["images"] for row in evidence.errors), default=0)
    count = len(unique(evidence.runs, "seed"))
    title = f"ensembles and crops; means of {count} seeds, {images:,} test images"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def networks_panel(axis: Axes, evidence: Evidence) -> None:
    """The error of every subset of the members, and the mean of each size."""
    for crops, look in ((1, ONE_CROP), (144, MANY)):
        found = evidence.where("errors", crops=crops, rule=RULES[0])
        subsets = grouped([r for r in found if r["members"] != BASE], "networks", "members")
        sizes: dict[int, list[float]] = {}
        for (size, _), of_subset in subsets.items():
            error = statistics.mean(100 * row["top_1_error"] for row in of_subset)
            sizes.setdefault(size, []).append(error)
            axis.plot(size, error, "o", color=look["color"], ms=3, alpha=0.35)
        points = [(size, statistics.mean(each)) for size, each in sorted(sizes.items())]
        if points:
            axis.plot(*zip(*points, strict=True), label=crop_count(crops), **look)
            ticks_at(axis.xaxis, sizes)
    axis.set(xlabel="networks together", ylabel="top-1 error, %")
    axis.set_title("(a) networks together\n(dots: every subset; lines: their means)", fontsize=10)
    legend_in(axis)


def crops_panel(axis: Axes, evidence: Evidence) -> None:
    """The error by count of crops: every member, the single network, the ensemble."""
    counts = sorted(unique(evidence.errors, "crops"))
    for name in members(evidence):
        values = [mean(errors(evidence, [name], k)) for k in counts]
        draw(axis, values, color=ONE_CROP["color"], linewidth=0.6, alpha=0.5)
    for label, of, look in (
        ("single network", single, SINGLE),
        ("a member, mean (thin: each)", one, ONE_CROP),
        ("ensemble", together, MANY),
    ):
        draw(axis, [mean(of(evidence, k).seeds) for k in counts], label=label, **look)
    distinct = max((row["distinct"] for row in evidence.errors), default=0)
    axis.set_xlabel(f"crops of an image, of which at most {distinct} differ")
    ticks_at(axis.xaxis, range(len(counts)), map(str, counts))
    axis.set_title("(b) crops averaged over", fontsize=10)
    legend_in(axis, loc="upper left")


def draw(axis: Axes, values: list[float | None], **look: Any) -> None:
    """A line of errors in per cent through the counts of crops at which it is known."""
    points = [(place, 100 * value) for place, value in enumerate(values) if value is not None]
    if points:
        axis.plot(*zip(*points, strict=True), **look)


def gains_panel(axis: Axes, evidence: Evidence) -> None:
    """The gains: a bar with its interval over test images, every seed a point."""
    found = gains(evidence)
    for place, (name, label) in enumerate(BARS.items()):
        gain = found[name]
        seeds = [100 * value for value in known(gain.seeds)]
        if (interval := gain.over_images) is not None:
            low, high = interval.bounds()
            error = [[interval.mean - low], [high - interval.mean]]
            axis.bar(place, interval.mean, 0.6, yerr=error, capsize=4, color="#a6cfca", label=label)
        axis.plot([place + 0.12] * len(seeds), seeds, "o", color=MANY["color"], ms=4)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_axisbelow(True)
    ticks_at(axis.xaxis, range(len(BARS)), BARS.values())
    axis.set(ylabel="fewer top-1 errors, percentage points")
    title = "(c) gain over one network with one crop\n(points: seeds; 95 % interval over images)"
    axis.set_title(title, fontsize=10)


FIGURES = {"figure-4": errors_figure}


def tables(evidence: Evidence) -> list[Table]:
    """Figure 4, the gains, all subsets, every network, and the members' agreement."""
    makers = (figure_4, gain_table, subset_table, member_table, agreement_table)
    return [make(evidence) for make in makers]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    steps = [single(evidence, 1), single(evidence, 144), together(evidence, 144)]
    if any(found.over_images is None for found in steps):
        return "Not compared: a network is not finished, or diverged."
    count = len(steps[0].seeds)
    over = "seeds" if count >= FEWEST else "test images"
    one_crop, crops, ensemble = (interval_text(found) for found in steps)
    multiple = evidence.where("runs", variant=BASE)[0]["multiplier"]
    return (
        f"Top-1 error, mean of {count} seeds [95 % over {over}]: the single network with one crop "
        f"{one_crop} %, with 144 crops {crops} %, {len(members(evidence))} networks with 144 crops "
        f"{ensemble} % (the paper: 25.2, 21.99, 20.1), at {multiple:g} times the base rate (the "
        f"paper: {PAPERS_MULTIPLE})."
    )


def interval_text(found: Errors) -> str:
    """The mean in per cent with its interval over seeds, or over test images of too few seeds."""
    if len(found.seeds) < FEWEST and (interval := found.over_images) is not None:
        return interval.text(2)
    return mean_text(found.seeds, 2, 100, limits=(0, 1))
