"""How the networks of a sweep are shown: a colour for each way in which they end."""

STATES = {  # of evidence.sweeps.state, from light to dark
    "trained": "#dde8cf",
    "untrained": "#c4c4c4",
    "saturated": "#e8a33d",
    "dead": "#a8623a",
    "non-finite": "#3a1414",
}
