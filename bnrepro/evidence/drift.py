"""How much a unit's input distribution moves over training: Figure 1(b, c) as numbers.

From step 1,000 on, a unit's percentiles p15, p50, p85 are series over steps. Its drift is
`median`: the SD over time of p50; `relative`: that divided by the mean spread p85 − p15; and
`spread`: the SD over time of ln(p85 − p15).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FROM_STEP = 1000
TYPICAL_RANK = 50  # of 100 units by drift, committed before any run
SHEET_RANKS = (1, 10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100)


def series(
    rows: Sequence[Mapping[str, Any]], mode: str, layer: str
) -> tuple[np.ndarray, np.ndarray]:
    """Probed steps (T,) and percentiles (T, 3, units) of a layer's inputs."""
    probed = [r for r in rows if r.get("percentiles") and r["percentiles"][mode].get(layer)]
    values = [r["percentiles"][mode][layer] for r in probed]
    return np.array([r["step"] for r in probed]), np.array(values)


def unit_drift(steps: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Drift of every unit, (units,) each; NaN where fewer than two probes came late enough."""
    late = values[steps >= FROM_STEP]
    if len(late) < 2:
        return dict.fromkeys(("median", "relative", "spread"), np.full(values.shape[-1], np.nan))
    spread = np.maximum(late[:, 2] - late[:, 0], 1e-6)
    median = late[:, 1].std(axis=0, ddof=1)
    return {
        "median": median,
        "relative": median / spread.mean(axis=0),
        "spread": np.log(spread).std(axis=0, ddof=1),
    }


def layer_drift(rows: Sequence[Mapping[str, Any]], mode: str, layer: str) -> dict[str, float]:
    """The median over a layer's units of each drift; NaN for one that was never finite."""
    drift = unit_drift(*series(rows, mode, layer))
    return {name: float(np.median(v)) if len(v) else np.nan for name, v in drift.items()}


def units_by_drift(rows: Sequence[Mapping[str, Any]], mode: str, layer: str) -> list[int]:
    """Unit numbers in order of rising drift of the median, as Figure 1(b, c) plots it."""
    return np.argsort(unit_drift(*series(rows, mode, layer))["median"], kind="stable").tolist()


def at_rank(units: Sequence[int], rank: int) -> int:
    """The unit at a rank of 100; in layers of other widths, at the same share of the order."""
    return units[max(0, round(rank / 100 * len(units)) - 1)]
