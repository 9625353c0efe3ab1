"""The sweep over optimisers and rates, as the config lists it."""

from bnrepro.training.slot_sweep import run_sweep
from experiments.optimizers import OptimizersConfig


def run(cfg: OptimizersConfig) -> None:
    """Train every network and record a row at each stop."""
    run_sweep(cfg)
