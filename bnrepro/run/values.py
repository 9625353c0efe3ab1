"""Numbers for JSON."""

import math

from torch import Tensor


def number(value: Tensor | float) -> float | None:
    """All digits; None where the number is not finite."""
    result = float(value)
    return result if math.isfinite(result) else None


def finite(value: Tensor | float) -> float | None:
    """Seven significant digits; None where the number is not finite."""
    result = number(value)
    return None if result is None else float(f"{result:.7g}")
