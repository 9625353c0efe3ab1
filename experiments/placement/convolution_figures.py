"""Section 3.2 for convolutions: BN's one pair (γ, β) a feature map, in a figure and two tables."""

from collections.abc import Callable
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds
from bnrepro.evidence.statistics import each_text, mean_text
from bnrepro.experiment import Table
from bnrepro.plots.panels import name_panels, panels, ticks_at
from bnrepro.plots.style import ARMS, Arm

KINDS = {
    "none": ARMS["baseline"],
    "map": Arm("BN per feature map", ARMS["bn"].colour, "-"),
    "activation": ARMS["bn_activation"],
}
SHIFTS = {
    "alike": ("one shift,\nγ, β alike", "training, one shift for all, γ and β alike"),
    "own": ("each its\nown shift", "training, a shift of its own for each image"),
    "learned": ("one shift,\nγ, β learned", "training, one shift for all, γ and β learned"),
    "inference": ("inference", "inference"),
    "padded": ("zero\npadding", "training, zeros for padding, own shifts within a margin"),
}
COMMUTING: dict[str, Callable[..., float]] = {"map": max, "activation": min}  # over seeds
FOOT = 1e-18  # where a change of exactly zero is drawn


def convolution_figure(evidence: Evidence) -> Figure:
    """With one scale and shift a feature map BN is more accurate than with one an activation, in
    every seed of a small network (a). Per feature map a shift of the image shifts the output, to
    rounding; per activation only where all images shift alike and nothing is learned yet (b).

    Points are seeds, joined by lines, bars their means in (a); (b) has the seed that tells most.
    """
    figure, (axes,) = panels(1, 2, (9, 3.8), gridspec_kw={"width_ratios": [1, 1.4]})
    kind_panel(axes[0], evidence)
    shift_panel(axes[1], evidence)
    name_panels(axes, ("convolutional network", "shifted images"))
    return figure


def kind_panel(axis: Axes, evidence: Evidence) -> None:
    """Test accuracy of the convolutional network with each kind of BN."""
    each = [evidence.where("conv_accuracy", kind=kind) for kind in KINDS]
    for seed in all_seeds(evidence):
        found = [100 * row["accuracy"] for rows in each for row in rows if row["seed"] == seed]
        axis.plot(range(len(KINDS)), found, color="#bbbbbb", linewidth=1)
    for place, (rows, (_, colour, _)) in enumerate(zip(each, KINDS.values(), strict=True)):
        found = [100 * row["accuracy"] for row in rows]
        axis.plot([place] * len(found), found, "o", color=colour, ms=5, fillstyle="none")
        axis.hlines(fmean(found), place - 0.2, place + 0.2, color=colour, linewidth=2)
    names = (place.label for place in KINDS.values())
    labels = [name.replace(" per ", "\nper ").replace(" BN", "\nBN") for name in names]
    axis.set_xticks(range(len(KINDS)), labels, fontsize=9)
    axis.set(ylabel="test accuracy, %", xlim=(-0.5, 2.5))


def shift_panel(axis: Axes, evidence: Evidence) -> None:
    """How far BN of a convolution is from commuting with shifts."""
    for kind, marker in zip(COMMUTING, "os", strict=True):
        values = [max(changed(evidence, kind, setting), FOOT) for setting in SHIFTS]
        label, colour, _ = KINDS[kind]
        axis.plot(range(len(SHIFTS)), values, marker, color=colour, ms=8, label=label)
    axis.set(yscale="log", ylim=(FOOT / 5, 1e5), ylabel="relative difference to the shifted output")
    ticks_at(axis.yaxis, [FOOT, 1e-15, 1e-10, 1e-5, 1], ["0", "1e−15", "1e−10", "1e−5", "1"])
    axis.set_xticks(range(len(SHIFTS)), [short for short, _ in SHIFTS.values()], fontsize=8)
    axis.legend(loc="center left", fontsize=9)


def changed(evidence: Evidence, kind: str, setting: str) -> float:
    """The change under shifts that tells most: the largest of what should be small."""
    rows = evidence.where("shift", kind=kind, setting=setting)
    return COMMUTING[kind](row["change"] for row in rows)


def convolution_table(evidence: Evidence) -> Table:
    """The small convolutional network: learned numbers of BN and accuracy."""
    rows = [["convolutional network", "γ and β learned", "test accuracy, %", "by seed"]]
    first = all_seeds(evidence)[0]
    for kind, look in KINDS.items():
        found = [row["accuracy"] for row in evidence.where("conv_accuracy", kind=kind)]
        numbers = sum(row["numbers"] for row in evidence.where("pairs", kind=kind, seed=first))
        accuracies = [mean_text(found, 2, 100, limits=(0, 1)), each_text(found, 2, 100)]
        rows.append([look.label, f"{numbers:,}", *accuracies])
    return rows


def shift_table(evidence: Evidence) -> Table:
    """Relative change when BN and convolution meet a shift; and b's gradient."""
    rows = [["does BN of a convolution commute with shifts?", "per feature map", "per activation"]]
    for setting, (_, label) in SHIFTS.items():
        changes = [f"{changed(evidence, kind, setting):.1e}" for kind in COMMUTING]
        rows.append([label, *changes])
    bias = []
    for kind in COMMUTING:
        found = [row["gradient"] for row in evidence.bias if row["kind"] in (kind, "dense")]
        bias.append(f"{max(found):.1e}")
    return [*rows, ["gradient of b ahead of BN, relative", *bias]]
