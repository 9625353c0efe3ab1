"""Internal covariate shift as the optimiser meets it: a layer's gradient, before and after the
layers below have moved.

A step updates all layers at once from gradients that each took the others to be fixed. For layer i
let G be ∂ℓ/∂Wᵢ at the step, and G′ the same of the same mini-batch once the layers below have their
new parameters, while layer i and those above have their old ones. G′ = G where nothing shifts.
"""

import copy

import torch
from torch import Tensor

from bnrepro.models.mlp import SlotMLP
from bnrepro.training.slots import SlotTrainer


def changes_below(trainer: SlotTrainer) -> dict[str, dict[str, Tensor]]:
    """Train one step; for every hidden layer with layers below, (S,) each:

    distance: ‖G′ − G‖/‖G‖; cosine: ⟨G, G′⟩/(‖G‖ ‖G′‖).
    """
    x, labels = trainer.examples(trainer.step)
    before = snapshot(trainer.net)
    list(trainer.run([trainer.step + 1]))
    found = {}
    for i, name in enumerate(trainer.net.hidden[1:], start=1):
        mixed = snapshot(before)
        for key, value in trainer.net.params.items():
            if key.split(".")[0] in trainer.net.hidden[:i]:
                mixed.params[key] = value
        key = f"{name}.weight"
        found[name] = compare(trainer.grads[key], mixed.gradients(x, labels)[1][key])
    return found


def snapshot(net: SlotMLP) -> SlotMLP:
    """The network as it is now, untouched by what becomes of it."""
    other = copy.copy(net)
    for name in ("params", "moving"):
        setattr(other, name, {key: value.clone() for key, value in getattr(net, name).items()})
    return other


def compare(g: Tensor, other: Tensor) -> dict[str, Tensor]:
    """The relative distance and the cosine of matrices (S, inputs, units), slot by slot."""
    a, b = g.flatten(1).double(), other.flatten(1).double()
    norm = torch.linalg.vector_norm(a, dim=1)
    return {
        "distance": torch.linalg.vector_norm(b - a, dim=1) / norm,
        "cosine": torch.nn.functional.cosine_similarity(a, b, eps=0),
    }
