"""BN whose γ and β stay as they start, and how many inputs of a sigmoid lie in its linear part."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bnrepro.models.mlp import SlotMLP
from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.training.slot_sweep import Hooks, Layers, SweepCell, run_sweep
from bnrepro.training.slots import SlotTrainer
from experiments.gamma_beta import GammaBetaConfig

LINEAR = 2.0  # at |a| = 2 the sigmoid's slope is 42 % of that at 0


class FixedTransform(BatchTransform):
    """Algorithm 1 with γ = 1 and β = 0 throughout: y = x̂."""

    def backward(
        self, net: SlotMLP, name: str, d: Tensor, state: Any, grads: dict[str, Tensor]
    ) -> Tensor:
        """∂ℓ/∂x from d = ∂ℓ/∂y; γ and β get no gradient, so nothing updates them."""
        return super().backward(net, name, d, state, {})


def run(cfg: GammaBetaConfig) -> None:
    """Train every network and record a row at each stop."""
    run_sweep(cfg, HOOKS)


def transform(cfg: GammaBetaConfig, cell: SweepCell) -> Transform | None:
    """BN with fixed γ and β for the arm `bn_fixed`."""
    if cell.shared["arm"] != "bn_fixed":
        return None
    return FixedTransform(cfg.model.eps, cfg.model.bn_momentum)


def linear(trainer: SlotTrainer, layers: Layers) -> Mapping[str, Tensor]:
    """Each hidden layer's share of (example, unit) pairs with |a| < 2, a the sigmoid's input."""
    return {
        f"linear_{name}": (layer.a.abs() < LINEAR).float().mean((1, 2))
        for name, layer in zip(trainer.net.hidden, layers, strict=True)
    }


HOOKS = Hooks(transform=transform, probes={"linear": linear})
