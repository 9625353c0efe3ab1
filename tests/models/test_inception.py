"""The network of Figure 5: sizes after every stage, parameter counts, and what the switches do."""

import pytest
import torch
from torch import nn

from bnrepro.models.inception import (
    LRN,
    Inception,
    InceptionSpec,
    ResponseNorm,
    parameter_count,
)  # fmt: skip
from bnrepro.models.inception_init import initialise
from bnrepro.norm import BatchNorm, fold
from bnrepro.seeding import stream
from scripts.bench_inception import as_drawn

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
    assert norms(with_bn) == activations == 51
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


def test_every_bn_folds_into_its_convolution_but_those_behind_an_average():
    network = Inception(InceptionSpec(**SMALL)).double()
    initialise(network, seed=0)
    network(torch.randn(8, 1, 28, 28).double())
    folded = fold(network)
    averages = sum(isinstance(m, nn.AvgPool2d) for m in network.modules())
    assert norms(folded) == averages == 7
    x = torch.randn(2, 1, 28, 28).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(x), network.eval()(x), rtol=1e-10, atol=1e-10)


def test_bn_per_activation_stays_when_the_rest_is_folded():
    spec = InceptionSpec(**SMALL, per_activation=2, side=28)
    network = Inception(spec).double()
    initialise(network, seed=0)
    network(torch.randn(8, 1, 28, 28).double())
    folded = fold(network)
    kept = [m for m in folded.modules() if isinstance(m, BatchNorm)]
    last = [m for m in network.modules()
            if isinstance(m, BatchNorm) and isinstance(m.num_features, tuple)]  # fmt: skip
    assert {m.num_features[1:] for m in last} == {(4, 4)}
    assert sum(isinstance(m.num_features, tuple) for m in kept) == len(last) == 10
    x = torch.randn(2, 1, 28, 28).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(x), network.eval()(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("stem", "side", "maps"), [("imagenet", 224, 7), ("tiny", 64, 8)])
def test_bn_per_activation_knows_the_maps_of_every_stem(stem, side, maps):
    spec = InceptionSpec(classes=10, stem=stem, width=0.05, per_activation=2, side=side)
    assert spec.last_maps("5a") == spec.last_maps("5b") == (maps, maps)
    assert spec.last_maps("4e") == ()
    assert Inception(spec).eval()(torch.zeros(1, 3, side, side)).shape == (1, 10)


def test_channels_last_gives_the_same():
    network = Inception(InceptionSpec(**SMALL)).double().eval()
    x = torch.randn(2, 1, 28, 28).double()
    with torch.no_grad():
        expected = network(x)
        fast = network.to(memory_format=torch.channels_last)
        actual = fast(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_shared_convolutions_compute_what_figure_5_draws(norm):
    spec = InceptionSpec(**SMALL, norm=norm, lrn=True)
    network, drawn = Inception(spec).double(), Inception(spec).double()
    for copy in (network, drawn):
        initialise(copy, seed=0)
        for name, p in copy.named_parameters():
            if p.dim() == 1:  # biases, γ and β that matter
                with torch.no_grad():
                    p.add_(torch.randn(p.shape, generator=stream(1, name)).double())
    drawn = as_drawn(drawn).double()
    x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1)).double()
    assert parameter_count(network) == parameter_count(drawn)
    losses = [n(x).square().sum() for n in (network, drawn)]
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-9)
    for loss in losses:
        loss.backward()
    first = [n.blocks["conv1"].conv.weight.grad for n in (network, drawn)]
    torch.testing.assert_close(*first, rtol=1e-8, atol=1e-8)


def test_lrn_keeps_its_precision_under_bf16():
    u = 3 * torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    ours, torchs = ResponseNorm(16, *LRN), nn.LocalResponseNorm(*LRN)
    torch.testing.assert_close(ours(u), torchs(u))
    with torch.autocast("cpu", torch.bfloat16):
        assert (ours(u) / u - torchs(u) / u).abs().max() < 1e-5
