"""The sweep over optimisers and rates, as the config lists it."""

from bnrepro.training.slot_sweep import run_sweep as run

__all__ = ["run"]
