"""One row of measurements of an Inception network."""

from typing import Any

import torch
from torch import Tensor

from bnrepro.models.inception import ConvUnit, InceptionModule
from bnrepro.run.values import finite
from bnrepro.training.images import ImageTrainer, learning_rate, update_size
from bnrepro.training.probes import histogram, percentiles, saturated_share


def measure(trainer: ImageTrainer, loss: Tensor, probed: bool) -> dict[str, Any]:
    """The row of the present step; when `probed`, with the distribution of activation inputs."""
    accuracy, test_loss = trainer.evaluate(trainer.cfg.eval.test_examples)
    examples = trainer.step * update_size(trainer.cfg)
    row: dict[str, Any] = {
        "step": trainer.paper_step,
        "examples": examples,
        "epoch": round(examples / trainer.source.train_size, 4),
        "wall_s": round(trainer.seconds, 3),
        "learning_rate": finite(learning_rate(trainer.cfg, trainer.paper_step)),
        "train_loss": finite(loss),
        "test_accuracy": finite(accuracy),
        "test_loss": finite(test_loss),
    }
    return row | (probe(trainer) if probed else {})


def last_unit(block: torch.nn.Module) -> ConvUnit:
    """The unit whose nonlinearity's input stands for a block: the end of its double 3×3 branch."""
    unit = block.double_three[-1] if isinstance(block, InceptionModule) else block
    assert isinstance(unit, ConvUnit)
    return unit


@torch.no_grad()
def probe(trainer: ImageTrainer, names: tuple[str, ...] = ("conv1", "3a", "4a", "5b")) -> dict:
    """Percentiles over examples and places, saturation and histogram of one unit per block.

    Taken at inference, on fixed training images without augmentation; every feature map counts
    as one unit, as BN normalises it.
    """
    result: dict[str, Any] = {"percentiles": {"inference": {}}, "saturated": {}, "histogram": {}}
    for name, a in activation_inputs(trainer, names).items():
        flat = a.permute(0, 2, 3, 1).flatten(0, 2).unsqueeze(0)
        values = percentiles(flat)[0].double()
        if values.isfinite().all():
            result["percentiles"]["inference"][name] = values.numpy().round(4).tolist()
        result["saturated"][name] = finite(saturated_share(flat)[0])
        result["histogram"][name] = histogram(flat)[0]
    return result


def activation_inputs(trainer: ImageTrainer, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Inputs (N, C, H, W) to the nonlinearities of the named blocks' last units."""
    trainer.network.eval()
    seen: dict[str, Tensor] = {}
    handles = []
    for name in names:
        unit = last_unit(trainer.network.blocks[name])

        def keep(_: Any, args: tuple[Tensor, ...], name: str = name) -> None:
            seen[name] = args[0].detach().cpu()

        handles.append(unit.g.register_forward_pre_hook(keep))
    trainer.network(trainer.probe_images())
    for handle in handles:
        handle.remove()
    return seen
