"""The sweep over rates, as the config lists it."""

from bnrepro.training.slot_sweep import run_sweep
from experiments.learning_rate import LearningRateConfig


def run(cfg: LearningRateConfig) -> None:
    """Train every network and record a row at each stop."""
    run_sweep(cfg)
