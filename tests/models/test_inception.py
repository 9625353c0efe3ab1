"""The network of Figure 5: sizes after every stage, parameter counts, and what the switches do."""

import pytest
import torch
from torch import nn

from bnrepro.models.inception import Inception, InceptionSpec, initialise, parameter_count
from bnrepro.norm import BatchNorm, fold

SMALL = {"classes": 10, "channels": 1, "stem": "small", "width": 0.125}


@pytest.mark.parametrize(
    ("switches", "count"),
    [({}, 11_278_528), ({"separable": False}, 11_285_224), ({"projection_4cd": 96}, 11_188_288)],
)
def test_parameter_counts_of_the_table(switches, count):
    assert parameter_count(Inception(InceptionSpec(**switches))) == count


def sizes(spec: InceptionSpec, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    with torch.no_grad():
        values = Inception(spec).eval().intermediates(torch.zeros(1, *shape))
    return {name: tuple(value.shape[1:]) for name, value in values.items()}


@pytest.mark.parametrize(("projection", "four", "five"), [(128, 608, 1056), (96, 576, 1024)])
def test_sizes_after_every_stage_are_those_of_figure_5(projection, four, five):
    found = sizes(InceptionSpec(projection_4cd=projection), (3, 224, 224))
    expected = {
        "conv1": (64, 112, 112), "pool1": (64, 56, 56), "conv2": (192, 56, 56),
        "pool2": (192, 28, 28), "3a": (256, 28, 28), "3b": (320, 28, 28), "3c": (576, 14, 14),
        "4a": (576, 14, 14), "4b": (576, 14, 14), "4c": (four, 14, 14), "4d": (four, 14, 14),
        "4e": (five, 7, 7), "5a": (1024, 7, 7), "5b": (1024, 7, 7), "logits": (1000,),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("stem", "shape", "first", "last"),
    [("tiny", (3, 64, 64), (32, 32), (8, 8)), ("small", (1, 28, 28), (14, 14), (4, 4))],
)
def test_the_other_stems_suit_smaller_images(stem, shape, first, last):
    spec = InceptionSpec(classes=10, channels=shape[0], stem=stem, width=0.125)
    found = sizes(spec, shape)
    assert found["3a"][1:] == first
    assert found["5b"][1:] == last


def norms(network: nn.Module) -> int:
    return sum(isinstance(m, BatchNorm) for m in network.modules())


def test_bn_stands_before_every_nonlinearity_and_takes_the_bias_away():
    with_bn, plain = (Inception(InceptionSpec(**SMALL, norm=n)) for n in ("batch", "none"))
    activations = sum(isinstance(m, nn.ReLU) for m in with_bn.modules())
    assert norms(with_bn) == activations > 60
    assert norms(plain) == 0
    biases = [n for n, _ in with_bn.named_parameters() if n.endswith("conv.bias")]
    assert biases == []
    assert all(m.bias is not None for n, m in plain.named_modules() if n.endswith(".conv"))


def test_bn_in_the_stem_is_a_switch():
    spec = InceptionSpec(**SMALL, stem_norm=False)
    assert norms(Inception(InceptionSpec(**SMALL))) - norms(Inception(spec)) == 3


def test_all_arms_of_a_seed_start_from_the_same_weights():
    networks = [
        Inception(InceptionSpec(**SMALL, norm=norm, activation=g))
        for norm, g in (("none", "relu"), ("batch", "relu"), ("batch", "sigmoid"))
    ]
    for network in networks:
        initialise(network, seed=3)
    weights = [
        {n: m.weight for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        for net in networks
    ]
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name])
        assert torch.equal(weight, weights[2][name])
    initialise(networks[1], seed=4)
    assert not torch.equal(networks[0].classifier.weight, networks[1].classifier.weight)


def test_the_plain_network_keeps_its_signal_through_depth():
    network = Inception(InceptionSpec(**SMALL, norm="none"))
    initialise(network, seed=0)
    with torch.no_grad():
        values = network.intermediates(torch.randn(8, 1, 28, 28))
    assert 0.05 < values["5b"].std() / values["conv1"].std() < 5


def test_lrn_and_dropout_act_where_they_should():
    torch.manual_seed(0)
    plain = Inception(InceptionSpec(**SMALL, norm="none"))
    lrn = Inception(InceptionSpec(**SMALL, norm="none", lrn=True))
    dropout = Inception(InceptionSpec(**SMALL, norm="none", dropout=0.5))
    x = 5 * torch.randn(2, 1, 28, 28)
    for network in (plain, lrn, dropout):
        initialise(network, seed=0)
    with torch.no_grad():
        base, other = plain.intermediates(x), lrn.intermediates(x)
        assert torch.equal(base["conv1"], other["conv1"])
        assert not torch.allclose(base["lrn1"], other["lrn1"])
        assert torch.equal(plain(x), dropout.eval()(x))
        assert not torch.allclose(plain(x), dropout.train()(x))


def test_the_papers_arithmetic_and_the_fused_kernel_agree():
    outputs = []
    for engine in ("paper", "torch"):
        network = Inception(InceptionSpec(**SMALL, engine=engine)).double()
        initialise(network, seed=0)
        x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1)).double()
        loss = network(x).square().sum()
        loss.backward()
        outputs.append((loss.detach(), network.blocks["conv1"].conv.weight.grad))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-9, atol=1e-9)


def test_every_bn_folds_into_its_convolution():
    network = Inception(InceptionSpec(**SMALL)).double()
    initialise(network, seed=0)
    network(torch.randn(8, 1, 28, 28).double())
    folded = fold(network)
    assert norms(folded) == 0
    x = torch.randn(2, 1, 28, 28).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(x), network.eval()(x), rtol=1e-10, atol=1e-10)


def test_channels_last_gives_the_same():
    network = Inception(InceptionSpec(**SMALL)).double().eval()
    x = torch.randn(2, 1, 28, 28).double()
    with torch.no_grad():
        expected = network(x)
        fast = network.to(memory_format=torch.channels_last)
        actual = fast(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
