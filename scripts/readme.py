"""The README's numbers: blocks between markers, written from committed evidence alone.

<!-- begin mnist-table -->
(replaced)
<!-- end mnist-table -->
"""

from collections.abc import Mapping

from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.search_evidence import SearchEvidence, plain_target
from bnrepro.evidence.steps import steps_to
from bnrepro.plots.tables import markdown
from experiments.inception.report import figure_3
from experiments.mnist.tables import summary_rows

SHOWN = (
    "test accuracy at step 1,000",
    "test accuracy at step 10,000",
    "test accuracy at step 50,000",
    "steps to 95%",
    "steps to 97%",
    "drift of the median / spread, training mode",
    "drift of the log spread, training mode",
)


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Replace each block's content. Raises a UserError for a block the text has no place for."""
    for name, content in blocks.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise UserError(f"README.md: exactly one pair {begin.strip()} … {end} is needed")
        head, rest = text.split(begin)
        text = head + begin + content.strip() + "\n" + end + rest.split(end)[1]
    return text


def mnist_blocks(evidence: Evidence) -> dict[str, str]:
    """What the README says of Figure 1."""
    header, *body = summary_rows(evidence)
    chosen = [row for row in body if row[0] in SHOWN]
    return {
        "mnist-cost": _cost(evidence),
        "mnist-table": markdown([header, *chosen]),
        "mnist-settings": markdown(_settings(evidence)),
    }


def inception_blocks(evidence: Evidence) -> dict[str, str]:
    """What the README says of Figures 2 and 3."""
    seconds = sum(run["wall_s"] for run in evidence.runs)
    hardware = sorted({run["hardware"] for run in evidence.runs})
    settings = {(run["lr"], run["data"]) for run in evidence.runs}
    (lr, data), *_ = sorted(settings)
    cost = (
        f"{len(evidence.variants)} arms × {len(evidence.seeds('inception'))} seeds on {data}, base "
        f"rate {lr:g}: {seconds / 3600:.1f} hours of one core, two runs side by side, evaluation "
        f"not counted, on {' and '.join(hardware)}."
    )
    return {"inception-cost": cost, "inception-table": markdown(figure_3(evidence))}


def search_blocks(evidence: SearchEvidence) -> dict[str, str]:
    """What the README says of the multiples of the base rate."""
    target = plain_target(evidence)
    cells = [cell for cell in evidence.cells if cell["variant"] == "multiplier"]
    if target is None or not cells:
        return {}
    steps = {f"×{c['value']:g}": steps_to(evidence.curve(c), target) for c in cells}
    reached = ", ".join(f"{n:,} ({name})" for name, n in steps.items() if n is not None)
    never = " and ".join(name for name, n in steps.items() if n is None)
    text = (
        f"On the held-out images BN-x5's network reaches the best accuracy of Inception's "
        f"{cells[0]['steps']:,} steps after {reached or 'none'} of them, by the multiple of the "
        f"base rate{f'; with {never} never' if never else ''}."
    )
    return {"inception-multiples": text}


QUESTIONS = {  # the experiments on Sections 1 to 3: place in the paper, question, first figure
    "bias_growth": ("2", "What if normalisation stands outside the gradient step?", "blow-up"),
    "whitening": ("2", "What does full whitening give, and what does it cost?", "convergence"),
    "inference": ("3.1", "Which statistics should BN use at test time?", "accuracy"),
    "placement": ("3.2", "Why before the nonlinearity, and one γ, β a feature map?", "shapes"),
    "scale_invariance": ("3.3", "Is a layer with BN blind to the scale of its weights?", "layer"),
    "jacobian": ("3.3", "Do layer Jacobians get singular values near 1?", "singular-values"),
}


def mechanism_block(answers: Mapping[str, tuple[str, str, float]]) -> str:
    """A row an experiment; `answers` holds scale, answer and seconds of those with evidence."""
    rows = [["section", "question", "command", "CPU minutes", "figure", "answer"]]
    for stem, (section, question, figure) in QUESTIONS.items():
        if stem in answers:
            scale, answer, seconds = answers[stem]
            command = f"`make {stem.replace('_', '-')}`"
            link = f"[{figure}](results/{stem}/{scale}/{figure}.png)"
            rows.append([section, question, command, f"{seconds / 60:.1f}", link, answer])
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * 6, *rows[1:]])


def _cost(evidence: Evidence) -> str:
    each = {v: evidence.run(v, evidence.seeds(v)[0]) for v in evidence.variants}
    minutes = sum(run["wall_s"] for run in each.values()) / 60
    seeds = len(evidence.seeds(evidence.variants[0]))
    hardware = sorted({run["hardware"] for run in each.values()})
    return (
        f"Training all {len(each)} arms × {seeds} seeds took {minutes:.1f} minutes, evaluation and "
        f"probes not counted, on {' and '.join(hardware)}."
    )


def _settings(evidence: Evidence) -> list[list[str]]:
    rows = [["arm", "learning rate", "initial weights"]]
    for variant in evidence.variants:
        run = evidence.run(variant, evidence.seeds(variant)[0])
        normal = f"Gaussian, std {run['init_std']:g}"
        weights = "Glorot" if run["init"] == "glorot" else normal
        rows.append([f"`{variant}`", f"{run['lr']:g}", weights])
    return rows
