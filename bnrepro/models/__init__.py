"""The networks of Section 4, and `load` for one that `make export` wrote."""

from bnrepro.models.exported import load

__all__ = ["load"]
