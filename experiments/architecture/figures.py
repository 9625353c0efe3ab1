"""The figure, the tables and the answer on Figure 5."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, unique
from bnrepro.evidence.tables import Row
from bnrepro.experiment import Table
from bnrepro.plots.panels import panels
from bnrepro.plots.style import arm
from experiments.architecture.metrics import stages

COUNTED, PRINTED = arm("bn").colour, arm("baseline").colour


def counts_figure(evidence: Evidence) -> Figure:
    """Figure 5 counted. (a) The parts of each stage sum to the printed width (orange) but in 4c, 4d
    and 4e. (b) However the table is read, its parameters stay 2.3 million below the 13.6 million
    of the text (orange).
    """
    figure, (axes,) = panels(1, 2, (12, 4.2), width_ratios=(1.6, 1))
    width_panel(axes[0], stages(evidence))
    parameter_panel(axes[1], evidence.count)
    return figure


def width_panel(axis: Axes, rows: list[Row]) -> None:
    """Feature maps a stage, counted and printed."""
    places = range(len(rows))
    axis.bar(places, [row["width"] for row in rows], color=COUNTED, label="sum of the parts")
    printed = [row["printed_width"] for row in rows]
    left, right = ([place + half for place in places] for half in (-0.42, 0.42))
    axis.hlines(printed, left, right, color=PRINTED, linewidth=2.5, label="printed")
    for place, row in zip(places, rows, strict=True):
        if row["width"] != row["printed_width"]:
            axis.annotate(str(row["width"]), (place, row["width"]), ha="center", va="bottom")
    axis.set_xticks(list(places), [row["stage"] for row in rows], fontsize=8.5)
    axis.set_axisbelow(True)
    axis.set(ylabel="feature maps", title="(a) width of each stage")
    axis.legend(loc="upper left")


def parameter_panel(axis: Axes, rows: list[Row]) -> None:
    """Millions of parameters, a bar a reading of the table."""
    places = range(len(rows))
    millions = [row["parameters"] / 1e6 for row in rows]
    axis.barh(places, millions, color=COUNTED)
    for place, value in zip(places, millions, strict=True):
        axis.text(value - 0.2, place, f"{value:.2f}", color="white", ha="right", va="center")
    axis.axvline(rows[0]["printed"] / 1e6, color=PRINTED, linewidth=2.5)
    axis.set_yticks(list(places), [reading(row) for row in rows])
    axis.invert_yaxis()
    axis.set(xlabel="million parameters", title="(b) parameters", xlim=(0, 15))
    axis.set_axisbelow(True)
    axis.grid(visible=False, axis="y")


def reading(row: Row) -> str:
    """How the table was read."""
    first = "separable" if row["separable"] else "dense"
    return f"{row['projection']} in 4c, 4d;\n{first} 7×7"


FIGURES = {"counts": counts_figure}


def tables(evidence: Evidence) -> list[Table]:
    """Shapes of every stage, and parameters of every reading."""
    return [stage_table(evidence), count_table(evidence)]


def stage_table(evidence: Evidence) -> Table:
    """A row a stage: side and width, printed and counted."""
    readings = unique(evidence.stage, "projection")
    rows = [["stage", "printed", *(f"projections of {p} in 4c, 4d" for p in readings)]]
    each = zip(*(stages(evidence, projection) for projection in readings), strict=True)
    for found in each:
        sizes = [f"{row['output_side']}×{row['output_side']}×{row['width']}" for row in found]
        side, width = (found[0][f"printed_{what}"] for what in ("side", "width"))
        rows.append([found[0]["stage"], f"{side}×{side}×{width}", *sizes])
    return rows


def count_table(evidence: Evidence) -> Table:
    """A row a reading: parameters, and how far from the printed number."""
    rows = [["reading", "parameters", "printed"]]
    for row in evidence.count:
        name = reading(row).replace("\n", " ")
        rows.append([name, f"{row['parameters']:,}", f"{row['printed']:,}"])
    return rows


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    unlike = [row for row in stages(evidence) if row["width"] != row["printed_width"]]
    widths = ", ".join(f"{r['stage']} ({r['width']}, not {r['printed_width']})" for r in unlike)
    counts = [row["parameters"] / 1e6 for row in evidence.count]
    return (
        f"The parts of each stage sum to the printed width but for {widths or 'none'}; by every "
        f"reading of the table the network has {min(counts):.2f} to {max(counts):.2f} million "
        f"parameters, where the text says {evidence.count[0]['printed'] / 1e6:.1f} million."
    )
