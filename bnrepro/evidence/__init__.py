"""From run records to evidence, and from evidence to verdicts; nothing here trains."""

from bnrepro.evidence.evidence import Evidence, load

__all__ = ["Evidence", "load"]
