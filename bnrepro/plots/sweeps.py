"""How the networks of a sweep are shown: the colour of each end, and what a diverged one counts."""

from bnrepro.evidence.tables import Row

STATES = {  # of evidence.sweeps.state, from light to dark
    "trained": "#dde8cf",
    "untrained": "#c4c4c4",
    "saturated": "#e8a33d",
    "dead": "#a8623a",
    "non-finite": "#3a1414",
}


def accuracy(row: Row) -> float:
    """Test accuracy; 0 for a network that is not finite."""
    return row["test_accuracy"] or 0.0
