"""The batched networks against torch's own modules, and the independence of slots."""

import pytest
import torch
from torch import nn

from bnrepro.config import compose
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.models.transforms import BatchTransform

SLOTS = [Slot(0, 0.1, 0.3), Slot(1, 0.2, 0.3), Slot(1, 0.3, 0.05)]


def network(norm: str, activation: str, slots=SLOTS) -> SlotMLP:
    cfg = compose("mnist", [f"model.norm={norm}", f"model.activation={activation}"])
    cfg.model.hidden = [7, 6]
    return SlotMLP(cfg.model, slots, 12, 5, dtype=torch.float64)


def reference(net: SlotMLP, slot: int) -> nn.Sequential:
    """The same network as torch modules, with the slot's parameters."""
    layers: list[nn.Module] = []
    for name in [*net.hidden, "output"]:
        weight = net.params[f"{name}.weight"][slot]
        linear = nn.Linear(*weight.shape, bias=f"{name}.bias" in net.params)
        linear.weight.data = weight.T.clone()
        if f"{name}.bias" in net.params:
            linear.bias.data = net.params[f"{name}.bias"][slot, 0].clone()
        layers.append(linear)
        if f"{name}.gamma" in net.params:
            norm = nn.BatchNorm1d(weight.shape[1], dtype=torch.float64)
            norm.weight.data = net.params[f"{name}.gamma"][slot, 0].clone()
            norm.bias.data = net.params[f"{name}.beta"][slot, 0].clone()
            layers.append(norm)
        if name != "output":
            layers.append(nn.Sigmoid() if net.sigmoid else nn.ReLU())
    return nn.Sequential(*layers).double()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, 8, 12, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 5, (3, 8), generator=generator)


@pytest.mark.parametrize("place", ["preactivation", "after"])
def test_gradients_behind_dropout_are_those_of_autograd(place):
    net, (x, labels) = network("none", "sigmoid"), batch()
    other = SlotMLP(
        compose("mnist", []).model, SLOTS, 12, 5, dtype=torch.float64,
        transform=BatchTransform(1e-5, place=place),
    )  # fmt: skip
    for each in (net, other):
        widths = [each.params[f"{name}.weight"].shape[-1] for name in each.hidden]
        masks = [2.0 * torch.rand(3, 8, width, dtype=torch.float64).round() for width in widths]
        grads = each.gradients(x, labels, masks)[1]
        for value in each.params.values():
            value.requires_grad_()
        logits = each.forward(x, masks=masks)[0]
        index = labels.unsqueeze(-1)
        torch.log_softmax(logits, -1).gather(-1, index).mean((1, 2)).neg().sum().backward()
        for name, value in each.params.items():
            torch.testing.assert_close(grads[name], value.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_losses_and_gradients_are_those_of_autograd(norm, activation):
    net, (x, labels) = network(norm, activation), batch()
    for key, value in net.params.items():
        if key.endswith(("gamma", "beta", "bias")):
            value.add_(0.1 * torch.randn(value.shape, dtype=torch.float64))
    modules = [reference(net, slot) for slot in range(3)]
    losses, grads = net.gradients(x, labels)
    for slot, module in enumerate(modules):
        loss = nn.functional.cross_entropy(module(x[slot]), labels[slot])
        loss.backward()
        torch.testing.assert_close(losses[slot], loss.detach(), rtol=1e-12, atol=1e-12)
        linears = [m for m in module if isinstance(m, nn.Linear)]
        for name, linear in zip([*net.hidden, "output"], linears, strict=True):
            actual, expected = grads[f"{name}.weight"][slot], linear.weight.grad.T
            torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
        norms = [m for m in module if isinstance(m, nn.BatchNorm1d)]
        for name, bn in zip(net.hidden, norms, strict=False):
            torch.testing.assert_close(grads[f"{name}.gamma"][slot, 0], bn.weight.grad)
            torch.testing.assert_close(grads[f"{name}.beta"][slot, 0], bn.bias.grad)
            torch.testing.assert_close(net.moving[f"{name}.mean"][slot, 0], bn.running_mean)
            torch.testing.assert_close(net.moving[f"{name}.var"][slot, 0], bn.running_var)


@pytest.mark.parametrize("statistics", ["moving", "population"])
def test_inference_is_torchs_eval_mode(statistics):
    net, (x, labels) = network("batch", "sigmoid"), batch()
    net.gradients(x, labels)
    net.population = {key: value.clone() for key, value in net.moving.items()}
    for slot in range(3):
        module = reference(net, slot)
        norms = [m for m in module if isinstance(m, nn.BatchNorm1d)]
        for name, bn in zip(net.hidden, norms, strict=True):
            bn.running_mean = net.moving[f"{name}.mean"][slot, 0]
            bn.running_var = net.moving[f"{name}.var"][slot, 0]
        expected = module.eval()(x[slot]).detach()
        torch.testing.assert_close(net.forward(x, statistics)[0][slot], expected)


def test_population_statistics_average_the_unbiased_batch_variances():
    net = network("batch", "relu")
    batches = [torch.randn(6, 12, dtype=torch.float64) for _ in range(4)]
    net.estimate_population(batches)
    wu = [b @ net.params["hidden1.weight"][1] for b in batches]
    mean = torch.stack([v.mean(0) for v in wu]).mean(0)
    var = torch.stack([v.var(0, correction=1) for v in wu]).mean(0)
    torch.testing.assert_close(net.population["hidden1.mean"][1, 0], mean)
    torch.testing.assert_close(net.population["hidden1.var"][1, 0], var)


def test_both_arms_start_from_the_same_weights():
    plain, normalised = network("none", "sigmoid"), network("batch", "sigmoid")
    for name in ("hidden1", "hidden2", "output"):
        assert torch.equal(plain.params[f"{name}.weight"], normalised.params[f"{name}.weight"])
    assert "hidden1.bias" not in normalised.params  # Section 3.2: beta takes its place


def test_initial_weights_scale_with_the_slots_std_and_follow_its_seed():
    net = network("none", "sigmoid")
    first, second, small = net.params["hidden1.weight"]
    torch.testing.assert_close(small * 6, second)
    assert not torch.equal(first, second)


def test_glorot_ignores_the_slots_std():
    cfg = compose("mnist", ["model.init=glorot"])
    net = SlotMLP(cfg.model, [Slot(0, 0.1, 5.0)], 784, 10)
    assert net.params["hidden2.weight"].std().item() == pytest.approx((2 / 200) ** 0.5, rel=0.05)
