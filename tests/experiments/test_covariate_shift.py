"""Internal covariate shift: noise behind BN, gradients by the layers below, and the metrics."""

import math

import pytest
import torch
from torch.nn import functional as F

from bnrepro.config import compose
from bnrepro.config.compose import validate
from bnrepro.data import open_dataset
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.evidence.statistics import Above
from bnrepro.models.mlp import in_float64
from bnrepro.models.transforms import BatchTransform
from experiments.covariate_shift.gradients import changes_below, snapshot
from experiments.covariate_shift.measure import Cell, cells, measure, new_trainer
from experiments.covariate_shift.metrics import (
    Network,
    control,
    log_drift_ratio,
    log_steps_ratio,
    steps_by_seed,
)
from experiments.covariate_shift.tables import listed
from experiments.covariate_shift.transforms import NoisyBatchTransform
from tests.drawing import drawn

CPU = torch.device("cpu")
ARMS = [Cell("sigmoid", "baseline"), Cell("relu", "bn"), Cell("relu", "bn_noise", 0.5)]


@pytest.fixture(scope="module")
def cfg():
    return compose("covariate_shift", ["scale=smoke"])


@pytest.fixture(scope="module")
def data(cfg):
    return open_dataset(cfg.data)


def train(trainer, steps):
    return torch.stack(list(trainer.run(range(1, steps + 1))))


def test_noise_of_strength_0_is_bn_bitwise(cfg, data):
    losses = []
    for transform in (BatchTransform(cfg.eps), NoisyBatchTransform(cfg.eps, 0.0, [0, 1, 0, 1])):
        trainer = new_trainer(cfg, data, Cell("relu", "bn"), CPU)
        trainer.net.transform = transform
        losses.append(train(trainer, 6))
    assert torch.equal(*losses)


def test_noise_moves_and_scales_units_anew_at_every_step_and_spares_test_time(cfg, data):
    trainer = new_trainer(cfg, data, Cell("sigmoid", "bn_noise", 0.5), CPU)
    x, net = trainer.x[:50], trainer.net
    bn = net.with_transform(BatchTransform(cfg.eps)).forward(x)[1][0].a
    noisy = net.forward(x)[1][0].a
    noise = net.transform.noise("hidden1", 0, noisy)
    torch.testing.assert_close(noisy, noise.scale * bn + noise.mean)
    assert noise.mean.shape == (len(trainer.slots), 1, 20)
    train(trainer, 1)
    assert not torch.equal(net.transform.noise("hidden1", 1, noisy).mean, noise.mean)
    assert not torch.equal(net.transform.noise("hidden2", 0, noisy).mean, noise.mean)
    assert torch.equal(net.transform.noise("hidden1", 0, noisy).mean, noise.mean)
    net.freeze(x)
    quiet = net.with_transform(BatchTransform(cfg.eps))
    assert torch.equal(net.forward(x, "population")[0], quiet.forward(x, "population")[0])
    torch.testing.assert_close(net.forward(x, "population")[0], quiet.forward(x)[0])


def test_noise_has_mean_0_and_scales_of_mean_1():
    transform = NoisyBatchTransform(1e-5, 0.5, [0])
    drawn = [transform.noise("hidden1", step, torch.zeros(1, 1, 200)) for step in range(200)]
    mean, scale = (torch.cat(list(part)) for part in zip(*drawn, strict=True))
    assert float(mean.mean()) == pytest.approx(0, abs=0.01)
    assert float(mean.std()) == pytest.approx(0.5, abs=0.01)
    assert float(scale.mean()) == pytest.approx(1, abs=0.01)
    assert float(scale.log().std()) == pytest.approx(0.5, abs=0.01)


def test_a_slots_noise_depends_on_its_seed_alone():
    like = torch.zeros(1, 1, 7)
    together = NoisyBatchTransform(1e-5, 0.5, [0, 3, 3]).noise("hidden2", 5, like)
    alone = NoisyBatchTransform(1e-5, 0.5, [3]).noise("hidden2", 5, like)
    for many, one in zip(together, alone, strict=True):
        assert torch.equal(many[1], one[0])
        assert torch.equal(many[1], many[2])
        assert not torch.equal(many[0], many[1])


def autograd(net, x, labels):
    """Gradients of every slot as autograd has them, with BN and its noise written out anew."""
    params = {key: value.clone().requires_grad_() for key, value in net.params.items()}
    u = x
    for name in net.hidden:
        a = u @ params[f"{name}.weight"]
        if not net.transform.normalises:
            a = a + params[f"{name}.bias"]
        else:
            mean, var = a.mean(1, keepdim=True), a.var(1, correction=0, keepdim=True)
            a = (a - mean) / (var + net.transform.eps).sqrt()
            a = params[f"{name}.gamma"] * a + params[f"{name}.beta"]
        if isinstance(net.transform, NoisyBatchTransform):
            noise = net.transform.noise(name, net.updates, a)
            a = noise.scale * a + noise.mean
        u = torch.sigmoid(a) if net.sigmoid else torch.relu(a)
    logits = u @ params["output.weight"] + params["output.bias"]
    loss = sum(F.cross_entropy(logits[i], labels[i]) for i in range(len(labels)))
    return dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))


def test_gradients_through_the_noise_are_those_of_autograd(cfg, data):
    trainer = new_trainer(cfg, data, Cell("sigmoid", "bn_noise", 0.7), CPU)
    train(trainer, 3)
    net, (x, labels) = in_float64(snapshot(trainer.net)), trainer.minibatch(3)
    expected = autograd(net, x.double(), labels)
    grads = net.gradients(x.double(), labels)[1]
    assert grads.keys() == expected.keys()
    for key, grad in grads.items():
        torch.testing.assert_close(grad, expected[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", ARMS, ids=str)
def test_a_gradient_is_compared_with_the_layers_below_updated_and_the_others_not(cfg, data, cell):
    trainer = new_trainer(cfg, data, cell, CPU)
    train(trainer, 4)
    old, (x, labels) = snapshot(trainer.net), trainer.minibatch(4)
    found = changes_below(trainer)
    before = autograd(in_float64(snapshot(old)), x.double(), labels)
    for layer, below in (("hidden2", ["hidden1"]), ("hidden3", ["hidden1", "hidden2"])):
        mixed = snapshot(old)
        for key in mixed.params:
            if any(key.startswith(f"{name}.") for name in below):
                mixed.params[key] = trainer.net.params[key]
        after = autograd(in_float64(mixed), x.double(), labels)
        for i in range(len(trainer.slots)):
            g, moved = (each[f"{layer}.weight"][i] for each in (before, after))
            distance = float((moved - g).norm() / g.norm())
            cosine = float((moved * g).sum() / moved.norm() / g.norm())
            assert distance > 1e-4
            assert float(found[layer]["distance"][i]) == pytest.approx(distance, rel=1e-3)
            assert float(found[layer]["cosine"][i]) == pytest.approx(cosine, abs=1e-4)


def test_gradients_do_not_change_where_nothing_below_moves(cfg, data):
    trainer = new_trainer(cfg, data, Cell("relu", "bn_noise", 0.5), CPU)
    trainer.lr.zero_()
    for columns in changes_below(trainer).values():
        assert columns["distance"].max() == 0
        torch.testing.assert_close(columns["cosine"], torch.ones_like(columns["cosine"]))


@pytest.mark.parametrize("cell", ARMS, ids=str)
def test_looking_at_a_network_leaves_its_training_as_it_is(cfg, data, cell):
    rows = [r for r in measure(cfg, data, cell, CPU) if r["part"] == "accuracy"]
    trainer = new_trainer(cfg, data, cell, CPU)
    train(trainer, cfg.stops[-1])
    x = trainer.x[: cfg.population_examples]
    trainer.net.freeze(x)
    expected = trainer.accuracy("population")[0].tolist()
    last = [row["accuracy"] for row in rows if row["step"] == cfg.stops[-1]]
    assert last == pytest.approx(expected, abs=1e-5)


def test_every_start_and_lag_is_measured_at_every_layer_with_layers_below(cfg, data):
    rows = list(measure(cfg, data, ARMS[0], CPU))
    networks = len(cfg.lr["sigmoid"]) * 2
    drifts = [r for r in rows if r["part"] == "drift"]
    keys = {(r["layer"], r["what"], r["start"], r["lag"]) for r in drifts}
    assert keys == {
        (layer, what, start, lag)
        for layer in ("hidden2", "hidden3")
        for what in "ua"
        for start in cfg.starts
        for lag in cfg.lags
    }
    assert len(drifts) == networks * len(keys)
    gradients = [r for r in rows if r["part"] == "gradient"]
    assert len(gradients) == networks * 2 * len(cfg.starts)
    assert {r["step"] for r in rows if r["part"] == "accuracy"} == set(cfg.stops)
    assert [c.noise for c in cells(cfg) if c.activation == "relu"] == [0, 0, *cfg.noise]


def test_networks_that_diverge_are_recorded_as_such(data):
    cfg = compose("covariate_shift", ["scale=smoke", "lr.relu=[1e38]"])
    rows = list(measure(cfg, data, Cell("relu", "baseline"), CPU))
    assert {r["step"] for r in rows if r["part"] == "accuracy"} == set(cfg.stops)
    assert all(r["training_loss"] is r["accuracy"] is None for r in rows if "accuracy" in r)
    assert all(r["total"] is None for r in rows if r["part"] == "drift")
    assert all(r["distance"] is None for r in rows if r["part"] == "gradient")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("starts=[10,35]", r"training ends at step 40.*reach step 45"),
        ("hidden=[20]", r"hidden=\[20\]: a shift needs a layer below"),
        ("hidden=[1000000,1000000]", r"hidden=.*each must be at most 100,000"),
        ("hidden=[100000,100000]", r"hidden=.*networks=4: together .* numbers in memory"),
        ("probe_examples=1", r"probe_examples=1: a mini-batch of one has no variance"),
        ("lr.relu=[]", r"lr\.relu=\[\]: name at least one rate"),
        ("lr.relu=[0.1,-1]", r"lr\.relu=.*greater than 0"),
    ],
)
def test_settings_that_cannot_be_measured_are_one_line(override, message):
    with pytest.raises(UserError, match=message):
        validate(compose("covariate_shift", ["scale=smoke", override]))


def accuracy(network, seed, curve, loss):
    named = network._asdict() | {"seed": seed, "training_loss": loss}
    return [named | {"step": step, "accuracy": value} for step, value in curve]


def drift(network, seed, total):
    named = network._asdict() | {"seed": seed, "layer": "hidden2", "start": 1}
    return [named | {"what": "a", "lag": lag, "total": lag * total} for lag in (1, 10)]


def made_up(noisy_drift=3.0, noisy_curve=((10, 0.5), (20, 0.9))) -> Evidence:
    """One seed: without BN at rates 1 (best) and 2, BN, and BN with noise of strength 1."""
    plain, worse = Network("relu", lr=1.0), Network("relu", lr=2.0)
    bn, noisy = (Network("relu", arm, noise, 1.0) for arm, noise in (("bn", 0), ("bn_noise", 1)))
    return Evidence(
        accuracy=[
            *accuracy(plain, 0, [(10, 0.3), (20, 0.6), (40, 0.8)], 0.5),
            *accuracy(worse, 0, [(10, 0.9), (20, 0.9), (40, 0.9)], None),
            *accuracy(bn, 0, [(10, 0.8), (20, 0.9), (40, 0.9)], 0.2),
            *accuracy(noisy, 0, [*noisy_curve, (40, noisy_curve[-1][1])], 0.3),
        ],
        drift=[*drift(plain, 0, 2.0), *drift(bn, 0, 0.5), *drift(noisy, 0, noisy_drift)],
    )


def test_the_drift_ratio_is_a_geometric_mean_over_lags():
    claim = {"activation": "relu", "what": "a", "column": "total", "rates": "same"}
    assert log_drift_ratio(made_up(), claim) == pytest.approx([math.log(0.5 / 2.0)])


@pytest.mark.parametrize(("against", "steps"), [("baseline", 40), ("bn", 10)])
def test_the_steps_ratio_counts_to_a_share_of_the_plain_networks_best(against, steps):
    claim = {"activation": "relu", "against": against, "share": 1.0}
    assert log_steps_ratio(made_up(), claim) == pytest.approx([math.log(20 / steps)])


def test_a_target_that_noise_never_reaches_is_a_lower_bound():
    claim = {"activation": "relu", "against": "bn", "share": 1.0}
    (bound,) = log_steps_ratio(made_up(noisy_curve=[(10, 0.1), (20, 0.2)]), claim)
    assert isinstance(bound, Above)
    assert bound == pytest.approx(math.log(40 / 10))


def test_steps_of_which_some_are_a_bound_are_printed_as_a_bound():
    assert listed({"relu": [Above(math.log(8)), math.log(2)]}) == "> 4 (ReLU)"
    assert listed({"relu": [math.log(8), math.log(2)]}) == "4 (ReLU)"
    assert listed({"relu": [Above(-math.inf), math.log(2)]}) == "not known (ReLU)"


def test_a_network_of_which_most_seeds_never_arrive_stands_at_never():
    evidence = load("covariate_shift", "small")
    axis = drawn("covariate_shift", evidence)["noise"].axes[1]
    (never,) = [
        tick
        for tick, text in zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
        if text.get_text() == "never"
    ]
    (strongest,) = [text for text in axis.texts if text.get_text() == "κ = 1"]
    assert strongest.xy[1] == never
    steps = steps_by_seed(evidence, Network("relu", "bn_noise", 1.0, 0.3), 0.95)
    assert [step is None for step in steps] == [True, True, False, True, True]


def test_noise_that_moves_less_than_the_plain_network_is_no_control():
    assert control(made_up(), "relu") == Network("relu", "bn_noise", 1, 1.0)
    assert control(made_up(noisy_drift=1.0), "relu") is None
    claim = {"activation": "relu", "against": "bn", "share": 1.0}
    assert log_steps_ratio(made_up(noisy_drift=1.0), claim) == []
