"""The sweep over initial standard deviations and rates, and the fixed bad starts."""

from bnrepro.models.mlp import SlotMLP
from bnrepro.training.slot_sweep import Hooks, SweepCell, run_sweep
from bnrepro.training.slots import SlotTrainer
from experiments.initialization import InitializationConfig

BAD_FACTOR = 10.0  # of one layer's initial weights
BAD_BIAS = 2.0  # where the slope of a sigmoid is 42 % of its largest


def run(cfg: InitializationConfig) -> None:
    """Train every network and record a row at each stop."""
    run_sweep(cfg, Hooks(prepare=prepare))


def prepare(trainer: SlotTrainer, cell: SweepCell) -> None:
    """Give the cell's networks the start that its axis `case` names."""
    start(trainer.net, cell.shared.get("case", "normal"))


def start(net: SlotMLP, case: str) -> None:
    """Spoil the initial parameters of a network.

    `layer_up`, `layer_down`: the middle hidden layer's weights × 10, ÷ 10. `biases`: all biases of
    hidden layers at 2; with BN, whose layers have no b, all β. `classifier`: the output's weights
    at 0.
    """
    middle = net.hidden[len(net.hidden) // 2]
    if case == "layer_up":
        net.params[f"{middle}.weight"].mul_(BAD_FACTOR)
    elif case == "layer_down":
        net.params[f"{middle}.weight"].div_(BAD_FACTOR)
    elif case == "biases":
        for name in net.hidden:
            key = "bias" if net.transform.bias else "beta"
            net.params[f"{name}.{key}"].fill_(BAD_BIAS)
    elif case == "classifier":
        net.params["output.weight"].zero_()
