"""The figure, the table and the answer on Algorithm 1."""

from itertools import product
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, all_seeds, grouped, unique
from bnrepro.evidence.statistics import Values, largest, number_text
from bnrepro.experiment import Table
from bnrepro.plots.curves import lines
from bnrepro.plots.panels import panels
from bnrepro.plots.style import OTHERS, arm
from experiments.transform import metrics

DASHES = ("-", (0, (5, 1)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (3, 2)), "-")


def algorithm_figure(evidence: Evidence) -> Figure:
    """Algorithm 1 in float64. (a) The six gradients as printed agree with central differences of
    the loss the better the smaller their step h, until rounding takes over. (b) The mean square of
    x̂ falls short of 1 by ε/(σ² + ε), which vanishes with ε. (c) An example that is multiplied by a
    is normalised to the same values by its own statistics (changes below 10⁻¹⁵), to others by BN's.
    """
    figure, (axes,) = panels(1, 3, (13.5, 4.2))
    gradient_panel(axes[0], evidence)
    epsilon_panel(axes[1], evidence)
    single_panel(axes[2], evidence)
    return figure


def gradient_panel(axis: Axes, evidence: Evidence) -> None:
    """The distance from central differences against h, the median over seeds, m and ε."""
    for (name, label), colour, dash in zip(metrics.GRADIENTS.items(), OTHERS, DASHES, strict=False):
        by_step = grouped(evidence.where("gradient", of=name), "h")
        steps = sorted(by_step)
        errors = [median(row["error"] for row in by_step[h]) for h in steps]
        axis.plot(steps, errors, color=colour, linestyle=dash, label=label)
    axis.set(xscale="log", yscale="log", xlabel="h of the differences, in units of the spread")
    axis.set(ylabel="relative distance", title="(a) gradients from central differences")
    axis.legend(fontsize=9, ncols=2, loc="upper left")


def epsilon_panel(axis: Axes, evidence: Evidence) -> None:
    """1 − (1/m) Σ x̂² against ε/(σ² + ε), a point a seed, m and ε > 0."""
    rows = [row for row in evidence.moments if row["eps"] > 0]
    short, found = ([1 - row[column] for row in rows] for column in ("expected", "square"))
    axis.plot(short, found, "o", color=arm("bn").colour, markersize=3.5)
    ends = (min(short, default=1e-6), max(short, default=1))
    axis.plot(ends, ends, color="black", linewidth=0.8, zorder=1)
    axis.set(xscale="log", yscale="log", xlabel="ε/(σ² + ε)", ylabel="1 − (1/m) Σ x̂²")
    axis.set_title("(b) what ε takes from the variance")


def single_panel(axis: Axes, evidence: Evidence) -> None:
    """How far an example's normalised values move when it is multiplied by a, each seed a line."""
    looks = {
        "batch": arm("bn")._replace(label="BN: statistics over the examples"),
        "own": arm("baseline")._replace(label="statistics of the example alone"),
    }
    for name, look in looks.items():
        seeds = grouped(evidence.single, "seed").values()
        each = [([r["a"] for r in rows], [max(r[name], 1e-17) for r in rows]) for rows in seeds]
        lines(axis, each, look, marker=".")
    axis.set(xscale="log", yscale="log", xlabel="a", ylabel="relative change of x̂")
    axis.set(title="(c) one example multiplied by a", ylim=(1e-18, 1e5))
    axis.legend(fontsize=9, loc="upper left")


FIGURES = {"algorithm": algorithm_figure}


def tables(evidence: Evidence) -> list[Table]:
    """Errors by m and ε, and by gradient."""
    return [representation_table(evidence), gradient_table(evidence)]


def representation_table(evidence: Evidence) -> Table:
    """A row an m and ε: the largest errors over seeds and units."""
    rows = [["m, ε", "identity", "mean of x̂", "mean square of x̂", "σ²/(σ² + ε)", "m·p·q values"]]
    for m, eps in product(*(unique(evidence.identity, key) for key in ("m", "eps"))):
        at = {"m": m, "eps": eps}
        identity, maps = (
            [r["error"] for r in evidence.where(t, **at)] for t in ("identity", "maps")
        )
        moments = evidence.where("moments", **at)
        square, expected = (median(row[c] for row in moments) for c in ("square", "expected"))
        mean = largest(row["mean"] for row in moments)
        texts = [number_text(v, ".1e") for v in (largest(identity), mean)]
        shown = [f"{square:.10g}", f"{expected:.10g}", number_text(largest(maps), ".1e")]
        rows.append([f"{m}, {eps:g}", *texts, *shown])
    return rows


def gradient_table(evidence: Evidence) -> Table:
    """A row a gradient: its distance from the differences at the best h, and from the shorter form
    of the three that training needs (the largest of them)."""
    rows = [["gradient", "from central differences", "from the shorter form that training uses"]]
    for name, label in metrics.GRADIENTS.items():
        found = evidence.where("gradient", of=name)
        worst = largest(metrics.best_errors([*found])) if found else None
        short = largest(row["short"] for row in found) if name in ("x", "gamma", "beta") else None
        rows.append([label, number_text(worst, ".1e"), "–" if short is None else f"{short:.1e}"])
    return rows


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""

    def worst(values: Values) -> str:
        return number_text(largest(values), ".0e")

    identity, moments, gradients, own, maps = (
        worst(metric(evidence, {}))
        for metric in (
            metrics.identity_error,
            metrics.moments_error,
            metrics.gradient_error,
            metrics.own_difference,
            metrics.map_error,
        )
    )
    kept = min(metrics.batch_difference(evidence, {}), key=lambda v: v or 0)
    return (
        f"In float64, over {len(all_seeds(evidence))} draws: the identity is recovered to "
        f"{identity}, x̂ has mean 0 and mean square 1 to {moments} at ε = 0, the six gradients are "
        f"those of central differences to {gradients}, and a feature map is normalised by its "
        f"m·p·q values to {maps}. Statistics of an example alone do not tell it from its multiples "
        f"(to {own}); BN's do (by at least {kept:.2g})."
    )
