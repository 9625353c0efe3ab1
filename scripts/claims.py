"""The verdict on every claim of the paper, from the committed evidence alone, as a table.

python -m scripts.claims                 all of them
python -m scripts.claims mnist fails     those whose id, experiment, section or verdict is named
"""

from bnrepro.cli import Parser, guard
from bnrepro.errors import UserError
from bnrepro.evidence.ledger import figure_of, read_ledger
from bnrepro.evidence.verdicts import Verdict
from bnrepro.experiment import Table
from bnrepro.plots.claims import corrected_text, measured, worded
from bnrepro.plots.summary import counts
from bnrepro.plots.tables import show


def main() -> None:
    """Judge, and show the rows that the words choose."""
    parser = Parser(prog="python -m scripts.claims", description=__doc__)
    parser.add_argument("words", nargs="*", help="what the claims' names or verdicts have in them")
    words = parser.parse_args().words
    verdicts = read_ledger().verdicts
    chosen = [v for v in verdicts if all(matches(v, word) for word in words)]
    if not chosen:
        raise UserError(f"{' '.join(words)}: no claim with these in id, section or verdict")
    show(claim_rows(chosen), "the paper's claims")
    print(counts(verdicts))


def matches(verdict: Verdict, word: str) -> bool:
    """Whether a word is in what names the claim, or begins its verdict."""
    claim = verdict.claim
    names = claim["id"], claim["experiment"], claim["section"], claim["kind"]
    return any(word in name for name in names) or verdict.verdict.startswith(word)


def claim_rows(verdicts: list[Verdict]) -> Table:
    """A row a claim; what it says in a sentence stands in results/REPORT.md."""
    rows = [["claim", "section", "the paper", "here", "n", "verdict", "after Holm", "figure"]]
    for v in verdicts:
        claim = v.claim
        count = str(len(v.values)) if v.values else "–"
        place = [claim["id"], claim["section"], claim["paper"], measured(v), count]
        rows.append([*place, worded(v), corrected_text(v), figure_path(v)])
    return rows


def figure_path(verdict: Verdict) -> str:
    """The committed figure that shows the claim, below results/; a dash without evidence."""
    name = figure_of(verdict.claim) if verdict.values else None
    return f"{verdict.claim['experiment']}/{verdict.scale}/{name}.png" if name else "–"


if __name__ == "__main__":
    guard(main)
