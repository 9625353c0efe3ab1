"""The figure, the table and the answer of Section 3.1's experiment on optimisers."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import each_text, mean, mean_text, number_text
from bnrepro.evidence.sweeps import GUESS, at_best_rate
from bnrepro.experiment import Table
from bnrepro.plots.curves import plain_numbers, seed_lines
from bnrepro.plots.panels import panels
from bnrepro.plots.style import arm, on_data
from experiments.optimizers.metrics import ends

ARMS = ("baseline", "bn")
NAMES = {  # of the tables
    "full_batch": "gradient descent on all images",
    "adagrad": "Adagrad",
    "sgd": "SGD on mini-batches",
}


def optimizers(evidence: Evidence) -> list[str]:
    """The optimisers that were measured."""
    return [name for name in NAMES if name in evidence.tables]


def loss_figure(evidence: Evidence) -> Figure:
    """Training loss over steps, each arm at its own best rate: with each optimiser the networks
    with BN fall below the loss of guessing within a few dozen steps. By gradient descent on all
    images they end far lower, by Adagrad and SGD about where those without BN end."""
    shown = optimizers(evidence)
    figure, (axes,) = panels(1, len(shown), (4.2 * len(shown), 4), sharey=True)
    for axis, optimizer in zip(axes, shown, strict=True):
        loss_panel(axis, evidence, optimizer)
    axes[0].set_ylabel("training loss")
    axes[0].legend(loc="lower left", fontsize=8)
    title = "Training loss, each arm at its best rate; each line is a seed"
    figure.suptitle(on_data(title, evidence.data))
    return figure


def loss_panel(axis: Axes, evidence: Evidence, optimizer: str) -> None:
    """One optimiser's curves, and the loss of guessing."""
    axis.axhline(GUESS, color="#888888", linewidth=0.8, linestyle=":", label="guessing")
    for name in ARMS:
        by_seed = at_best_rate(evidence.where(optimizer, arm=name)).values()
        seed_lines(axis, [row for rows in by_seed for row in rows], "train_loss", arm(name))
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    axis.set(title=NAMES[optimizer], xlabel="training step")
    axis.set_xlim(left=0)


FIGURES = {"loss": loss_figure}


def tables(evidence: Evidence) -> list[Table]:
    """A row an optimiser and arm, at the arm's best rate."""
    header = ["each arm at its best rate", "rate, by seed", "last training loss", "by seed"]
    rows = [[*header, "last test accuracy, %"]]
    for optimizer in optimizers(evidence):
        for name in ARMS:
            found = ends(evidence, optimizer, name)
            losses = [row["train_loss"] for row in found]
            rates = ", ".join(f"{row['lr']:g}" for row in found)
            texts = [mean_text(losses, 4), each_text(losses, 4)]
            accuracies = [row["test_accuracy"] for row in found]
            accuracy = mean_text(accuracies, 2, 100, limits=(0, 1))
            rows.append([f"{NAMES[optimizer]}, {arm(name).label}", rates, *texts, accuracy])
    return [rows]


def answer(evidence: Evidence) -> str:
    """What came out, in one sentence."""
    parts = []
    for optimizer in optimizers(evidence):
        losses = ([r["train_loss"] for r in ends(evidence, optimizer, name)] for name in ARMS)
        plain, bn = (number_text(mean(each)) for each in losses)
        steps = f"{evidence.tables[optimizer][-1]['step']:,} steps"
        parts.append(f"{NAMES[optimizer]}, {steps}: {bn} with BN, {plain} without")
    return f"Last training loss, each arm at its best rate: {'; '.join(parts)}."
