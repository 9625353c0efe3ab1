"""The figure, the table and the answer of Section 3's experiment on γ and β."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence, grouped, unique
from bnrepro.evidence.statistics import each_text, known, mean, mean_text
from bnrepro.evidence.sweeps import accuracy, at_best_rate, last
from bnrepro.experiment import Table
from bnrepro.plots.bands import band
from bnrepro.plots.curves import plain_numbers, seed_lines, thousands
from bnrepro.plots.panels import panels, ticks_at
from bnrepro.plots.style import arm, on_data
from experiments.gamma_beta.metrics import ends, linear_shares

ARMS = ("baseline", "bn", "bn_fixed")


def arms(evidence: Evidence) -> list[str]:
    """The arms that were measured, in the order of the figures."""
    return [name for name in ARMS if evidence.where("sigmoid", arm=name)]


def linear_figure(evidence: Evidence) -> Figure:
    """With γ fixed at 1 and β at 0 nearly all inputs of the sigmoids stay between −2 and 2, where a
    sigmoid is nearly linear (left), and the network ends at a higher mean test error at every rate
    (right). With γ and β learned a growing share of the inputs leaves that part in training."""
    figure, ((left, right),) = panels(1, 2, (10, 4))
    share_panel(left, evidence)
    error_panel(right, evidence)
    left.legend(loc="lower left", fontsize=8)
    title = "BN with and without γ and β; each line or point is a seed"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def share_panel(axis: Axes, evidence: Evidence) -> None:
    """The share of inputs between −2 and 2 over steps, mean of the layers, at the best rates."""
    for name in arms(evidence):
        rows = [
            {**row, "share": mean(linear_shares(row).values())}
            for each in at_best_rate(evidence.where("sigmoid", arm=name)).values()
            for row in each
        ]
        seed_lines(axis, rows, "share", arm(name), 100)
    steps = unique(evidence.sigmoid, "step")
    axis.set_xscale("log")
    ticks_at(axis.xaxis, steps[:: max(1, len(steps) // 5)])
    axis.xaxis.set_major_formatter(thousands())
    axis.set(xlabel="training step", ylabel="inputs between −2 and 2, %", ylim=(0, 102))
    axis.set_title("inputs of the sigmoids, at each arm's best rate")


def error_panel(axis: Axes, evidence: Evidence) -> None:
    """Test error at the end against the rate, on a logarithmic axis."""
    for name in arms(evidence):
        at = sorted(grouped(last(evidence.where("sigmoid", arm=name)), "lr").items())
        values = [[100 * (1 - accuracy(row)) for row in rows] for _, rows in at]
        band(axis, [rate for rate, _ in at], values, arm(name), interval=False)
    rates = sorted(unique(evidence.sigmoid, "lr"))
    axis.set_xscale("log")
    ticks_at(axis.xaxis, rates)
    axis.set(xlabel="learning rate", ylabel="test error at the end, %", yscale="log")
    plain_numbers(axis.yaxis)
    axis.set_title("test error; lines are means; diverged: 100")


FIGURES = {"linear": linear_figure}


def tables(evidence: Evidence) -> list[Table]:
    """A row an arm at its best rate: accuracy, and the layers' shares of inputs in [−2, 2]."""
    layers = list(linear_shares(evidence.sigmoid[0]))
    header = ["at each arm's best rate", "rate, by seed", "last test accuracy, %", "by seed"]
    rows = [[*header, *(f"inputs of {name} between −2 and 2, %" for name in layers)]]
    for name in arms(evidence):
        found = ends(evidence, name)
        each = [row["test_accuracy"] for row in found]
        shares = [[linear_shares(row)[layer] for row in found] for layer in layers]
        rates = ", ".join(f"{row['lr']:g}" for row in found)
        texts = [mean_text(each, 2, 100, limits=(0, 1)), each_text(each, 2, 100)]
        texts += [mean_text(share, 1, 100, limits=(0, 1)) for share in shares]
        rows.append([arm(name).label, rates, *texts])
    return [rows]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = []
    for name in arms(evidence):
        found = ends(evidence, name)
        shares = [known(linear_shares(row).values()) for row in found]
        lowest = min((min(each) for each in shares if each), default=None)
        share = "" if lowest is None else f", at least {100 * lowest:.0f} % of inputs"
        accuracies = [row["test_accuracy"] for row in found]
        ending = mean_text(accuracies, 2, 100, " %", limits=(0, 1))
        parts.append(f"{ending} {arm(name).label}{share}")
    return (
        "Test accuracy, each arm at its best rate, and the smallest share of a layer's inputs "
        f"between −2 and 2: {'; '.join(parts)}."
    )
