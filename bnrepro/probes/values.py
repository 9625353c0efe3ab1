"""Numbers for JSON."""

import math

from torch import Tensor


def finite(value: Tensor | float) -> float | None:
    """Seven significant digits; None where the number is not finite."""
    number = float(value)
    return float(f"{number:.7g}") if math.isfinite(number) else None
