"""What the searches' rule reads from their evidence; no claim is judged on them."""

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.statistics import known
from bnrepro.evidence.steps import Curve, curve_of
from bnrepro.evidence.tables import Row


def kind(search: str) -> str:
    """What a search is about: `rate`, `fast` or `multiplier`; one of other values has a suffix."""
    return search.split("-")[0]


def cells_of(evidence: Evidence, kind_of_search: str) -> list[Row]:
    """The runs of every search of a kind."""
    return [cell for cell in evidence.cells if kind(cell["variant"]) == kind_of_search]


def curve(evidence: Evidence, cell: Row) -> Curve:
    """Validation accuracy over steps of one run."""
    key = {name: cell[name] for name in ("variant", "round", "value", "seed")}
    return curve_of(evidence.where("curves", **key))


def chosen(evidence: Evidence, search: str) -> float | None:
    """The value that a search chose; None without that search."""
    return next((run["value"] for run in evidence.where("runs", variant=search)), None)


def plain_target(evidence: Evidence) -> float | None:
    """The best accuracy of the plain network at its winning rate, with the whole budget."""
    cells = [c for c in cells_of(evidence, "rate") if c["value"] == chosen(evidence, c["variant"])]
    finals = (c["best_test_accuracy"] for c in cells if c["round"].startswith("finalist"))
    return max(known(finals), default=None)


def chosen_speed(evidence: Evidence, search: str = "fast") -> float | None:
    """The largest speed of decay with which BN-x5 still reaches the plain network's best."""
    target, cells = plain_target(evidence), evidence.where("cells", variant=search)
    if target is None or not cells:
        return None
    reached = [c["value"] for c in cells if (c["best_test_accuracy"] or 0) >= target]
    return max(reached, default=min(c["value"] for c in cells))
