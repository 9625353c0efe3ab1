"""One look for all figures: a colour and a line style for each arm, the same everywhere.

Colours differ in lightness and lines in dash, so that figures read in black and white.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.tables import Row

mpl.use("Agg")

Dash = str | tuple[int, tuple[int, ...]]


class Arm(NamedTuple):
    """How an arm is called and drawn."""

    label: str
    colour: str
    dash: Dash

    @property
    def line(self) -> dict[str, Any]:
        """The look of its lines, as `Axes.plot` takes it."""
        return {"color": self.colour, "linestyle": self.dash}


ARMS = {
    "baseline": Arm("without BN", "#b23a00", (0, (5, 2))),
    "bn": Arm("with BN", "#00335c", "-"),
    "baseline_tuned": Arm("without BN, Glorot, own best rate", "#e8a33d", (0, (1, 1))),
    "centre": Arm("centring alone", "#7fb3d5", (0, (7, 1, 1, 1))),  # gradient through the mean
    "centre_outside": Arm("centring outside the step", "#e39a5b", (0, (1, 1))),
    "scale_outside": Arm("centring and scaling outside the step", "#8c1d04", (0, (5, 2))),
    "random": Arm("random Gaussian matrix", "#8a8a8a", (0, (1, 2))),
    "bn_input": Arm("W BN(u), hidden u alone", "#4d9de0", (0, (7, 1, 1, 1))),
    "bn_after": Arm("BN(g(Wu + b)), after g", "#4a2c00", (0, (2, 1))),
    "bn_activation": Arm("BN per activation", "#8c5fa8", (0, (1, 1))),
    "bn_tuned": Arm("with BN, own best setting", "#4d9de0", (0, (7, 1, 1, 1))),
    "bn_fixed": Arm("with BN, γ = 1 and β = 0", "#4d9de0", (0, (7, 1, 1, 1))),
    "bn_noise": Arm("BN, then noise anew at every step", "#117733", (0, (1, 1))),
    "inception": Arm("Inception", "#b23a00", (0, (5, 2))),
    "bn_baseline": Arm("BN-Baseline", "#7d7d7d", (0, (3, 1, 1, 1))),
    "bn_x5": Arm("BN-x5", "#00335c", "-"),
    "bn_x30": Arm("BN-x30", "#3f8fc4", (0, (7, 1, 1, 1))),
    "bn_x5_sigmoid": Arm("BN-x5-Sigmoid", "#117733", (0, (1, 1))),
    "inception_x5": Arm("Inception, 5 times the rate", "#e8a33d", (0, (2, 2))),
    "inception_sigmoid": Arm("Inception with sigmoid", "#d77fa1", (0, (1, 2))),
    "inception_recipe": Arm("Inception, BN-x5's recipe", "#4a2c00", (0, (4, 1, 1, 1))),
    "inception_paper_rate": Arm("Inception, 0.0015", "#b23a00", (0, (1, 1))),
    "bn_baseline_paper_rate": Arm("BN-Baseline, 0.0015", "#7d7d7d", (0, (1, 1))),
    "bn_x5_paper_rate": Arm("BN-x5, 0.0075", "#00335c", (0, (1, 1))),
    "bn_x30_paper_rate": Arm("BN-x30, 0.045", "#3f8fc4", (0, (1, 1))),
    "bn_baseline_own_rate": Arm("BN-Baseline, own best rate", "#7d7d7d", (0, (7, 2))),
    "bn_x5_own_rate": Arm("BN-x5's network, own best rate", "#00335c", (0, (7, 2))),
    "whiten": Arm("full whitening", "#117733", (0, (3, 1, 1, 1))),
}
SAYS: dict[str, dict[str, Any]] = {  # what labels say of their runs, by column of `runs`
    "baseline": {"norm": "none"},
    "bn": {"norm": "batch"},
    "baseline_tuned": {"norm": "none", "init": "glorot", "lr": 3.0, "data": "mnist"},
    "bn_tuned": {"norm": "batch", "init_std": 0.3, "lr": 3.0, "data": "mnist"},
    "inception": {"norm": "none", "activation": "relu", "multiplier": 1},
    "bn_baseline": {"norm": "batch", "activation": "relu", "multiplier": 1},
    "bn_x5": {"norm": "batch", "activation": "relu", "multiplier": 5},
    "bn_x30": {"norm": "batch", "activation": "relu", "multiplier": 30},
    "bn_x5_sigmoid": {"norm": "batch", "activation": "sigmoid", "multiplier": 5},
    "inception_x5": {"norm": "none", "activation": "relu", "multiplier": 5},
    "inception_sigmoid": {"norm": "none", "activation": "sigmoid", "multiplier": 1},
    "inception_recipe": {"norm": "none", "activation": "relu", "multiplier": 1},
    "inception_paper_rate": {"norm": "none", "lr": 0.0015, "multiplier": 1},
    "bn_baseline_paper_rate": {"norm": "batch", "lr": 0.0015, "multiplier": 1},
    "bn_x5_paper_rate": {"norm": "batch", "lr": 0.0015, "multiplier": 5},
    "bn_x30_paper_rate": {"norm": "batch", "lr": 0.0015, "multiplier": 30},
    "bn_baseline_own_rate": {"norm": "batch", "multiplier": 1},
    "bn_x5_own_rate": {"norm": "batch", "multiplier": 1},
}
RC: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "svg.hashsalt": "bnrepro",  # the same figure gives the same file
}
mpl.rcParams.update(RC)

OTHERS = ("#6a3d9a", "#1b7837", "#c51b7d", "#01665e", "#bf812d", "#4d4d4d", "#0570b0", "#d94801")
DASHES: tuple[Dash, ...] = ("-", (0, (6, 1)), (0, (3, 1)), (0, (5, 1, 1, 1)))


def arm(variant: str) -> Arm:
    """The look of an arm; one that is not named above gets a look that follows from its name."""
    if variant in ARMS:
        return ARMS[variant]
    number = int.from_bytes(hashlib.sha256(variant.encode()).digest()[:4], "little")
    colour, dash = OTHERS[number % len(OTHERS)], DASHES[number // len(OTHERS) % len(DASHES)]
    return Arm(variant, colour, dash)


def unlike_label(evidence: Evidence, variant: str) -> Row:
    """What of an arm's runs is not as its label says; a column that older evidence lacks is."""
    runs, said = evidence.where("runs", variant=variant), SAYS.get(variant, {})
    return {k: run[k] for run in runs for k, v in said.items() if run.get(k) not in (None, v)}


def label(evidence: Evidence, variant: str) -> str:
    """The arm's label; where its runs are not what that says, its name and how they differ."""
    unlike = unlike_label(evidence, variant)
    words = (f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in unlike.items())
    return f"{variant} ({', '.join(words)})" if unlike else arm(variant).label


def nonlinearity(activation: str) -> str:
    """An activation's name in figures and tables."""
    return "ReLU" if activation == "relu" else activation


DATA = {"fashion_mnist": "Fashion-MNIST", "tiny_imagenet": "Tiny-ImageNet"}


def on_data(title: str, data: str) -> str:
    """A figure's title, naming the data set unless it is MNIST."""
    name = DATA.get(data, data)
    return title if data in ("mnist", "") else f"{name}: {title}"


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write PNG and SVG without a date, so that an unchanged figure is an unchanged file.

    Both have the layout and the bounding box of the PNG: to find these takes as long as to draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(plt.rcParams["savefig.dpi"])
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    box = figure.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
    paths = [folder / f"{name}.{kind}" for kind in ("png", "svg")]
    metadata: list[dict[str, Any]] = [{"Software": None}, {"Date": None, "Creator": None}]
    for path, entry in zip(paths, metadata, strict=True):
        figure.savefig(path, metadata=entry, bbox_inches=box)
    plt.close(figure)
    return paths
