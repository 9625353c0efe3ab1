"""What the tests of sweeps over small networks share."""

from bnrepro.config import compose
from bnrepro.config.schema import ModelConfig, OptimConfig


def small_configs(stem: str) -> tuple[ModelConfig, OptimConfig]:
    """The networks and the optimiser of an experiment's smoke scale, with mini-batches of 20."""
    cfg = compose(stem, ["scale=smoke", "optim.batch=20"])
    return cfg.model, cfg.optim
