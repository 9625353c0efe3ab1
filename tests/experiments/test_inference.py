"""Section 3.1's experiment: its statistics against PyTorch's, and what it measures."""

import pytest
import torch

from bnrepro.config import compose
from bnrepro.config.compose import validate
from bnrepro.data import open_dataset
from bnrepro.errors import UserError
from bnrepro.models.mlp import in_float64
from experiments.inference.figures import LAYERS
from experiments.inference.folding import as_module, fold_rows
from experiments.inference.measure import (
    cells,
    enumeration_rows,
    forward_batches,
    mate_rows,
    measured_moments,
    moment_rows,
    new_trainer,
    random_order,
    spread_rows,
    use_population,
    x_hat_rows,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cfg():
    return compose("inference", ["scale=smoke"])


@pytest.fixture(scope="module")
def trainer(cfg):
    """Two networks trained for a few steps with mini-batches of 32."""
    trained = new_trainer(cfg, open_dataset(cfg.data), 32, CPU)
    list(trained.run([40]))
    use_population(trained.net, measured_moments(cfg, trained), 32 / 31)
    return trained


def test_mini_batches_side_by_side_are_normalised_each_by_itself(cfg, trainer):
    x = trainer.x[:96]
    logits, layers = forward_batches(cfg, trainer, x)
    each = [trainer.net.forward(batch) for batch in x.split(32)]
    assert torch.allclose(logits, torch.cat([e[0] for e in each], 1), atol=1e-5)
    for i, layer in enumerate(layers):
        states = [e[1][i].state for e in each]
        means, variances = (
            torch.stack([getattr(s, k) for s in states], 1) for k in ("mean", "var")
        )
        assert torch.allclose(layer.state.mean, means, atol=1e-5)
        assert torch.allclose(layer.state.var, variances, atol=1e-5)


def test_population_statistics_agree_with_algorithm_2_batch_by_batch(trainer, cfg):
    order = random_order(len(trainer.x), cfg.population_examples, 32, "population")
    averaged = dict(trainer.net.population)
    trainer.net.estimate_population(trainer.x[order].split(32))
    assert averaged.keys() == trainer.net.population.keys()
    for key, value in trainer.net.population.items():
        assert torch.allclose(averaged[key], value, atol=1e-5)


def test_the_true_variance_is_that_of_all_examples_together(trainer, cfg):
    order = random_order(len(trainer.x), cfg.population_examples, 32, "population")
    wu = trainer.x[order] @ trainer.net.params["hidden1.weight"]
    pooled = measured_moments(cfg, trainer)[0].pooled
    assert torch.allclose(pooled, wu.var(1, correction=0, keepdim=True), atol=1e-5)


def test_orders_are_whole_mini_batches_without_repeats():
    order = random_order(100, 50, 16, "test")
    assert len(order) == 48
    assert len(set(order.tolist())) == 48
    assert not torch.equal(order, torch.arange(48))
    assert not torch.equal(order, random_order(100, 50, 16, "other"))


def test_every_drawable_mini_batch_gives_the_factor_exactly(cfg):
    rows = list(enumeration_rows(cfg))
    assert {row["m"] for row in rows} == set(cfg.enumerated_batches)
    for row in rows:
        assert row["ratio_biased"] == pytest.approx((row["m"] - 1) / row["m"], abs=1e-13)
        assert row["ratio_unbiased"] == pytest.approx(1, abs=1e-13)


def test_batch_mates_matter_with_batch_statistics_only(cfg, trainer):
    rows = list(mate_rows(cfg, trainer))
    assert len(rows) == 6
    for row in rows:
        if row["statistics"] == "batch":
            assert row["difference"] > 1e-3
            assert row["difference_alone"] is None
        else:
            assert row["difference"] == 0
            assert row["difference_alone"] < 1e-12


def test_the_float64_copy_leaves_the_network_as_it_was(trainer):
    copy = in_float64(trainer.net)
    assert copy.params["output.weight"].dtype == torch.float64
    assert trainer.net.params["output.weight"].dtype == torch.float32


def test_spread_is_a_probability_of_disagreement(cfg, trainer):
    for row in spread_rows(cfg, trainer):
        assert 0 < row["disagreement"] < 1
        assert 0 < row["deviation"] < 0.5


def test_x_hat_of_the_first_layer_is_normalised_at_inference(cfg, trainer):
    first = [row for row in x_hat_rows(cfg, trainer) if row["layer"] == "hidden1"]
    assert len(first) == 2
    for row in first:
        assert row["x_hat_mean"] < 0.15
        assert row["x_hat_var"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("slot", [0, 1])
def test_the_module_that_is_folded_is_the_trained_network(cfg, trainer, slot):
    x = trainer.test_x[:50]
    expected = trainer.net.forward(x, "population")[0][slot]
    assert torch.allclose(
        as_module(trainer.net, slot, cfg.eps, torch.float32)(x), expected, atol=1e-5
    )


def test_folding_keeps_outputs_and_drops_what_bn_stored(cfg, trainer):
    for row in fold_rows(cfg, trainer):
        assert 0 < row["error_in_epsilons"] < 1000
        # BN stores γ, β, mean and variance of each unit; the folded layer one bias.
        assert row["numbers"] - row["numbers_folded"] == 3 * sum(cfg.hidden)
        assert row["time_ratio"] > 0


def test_the_second_layers_inputs_are_not_independent_draws(cfg):
    """Why m/(m−1) overshoots in deeper layers: with m = 2, x̂ = ±1, so that every mini-batch's
    mean of g(x̂) is the same, and the average σ²_B is already the whole variance."""
    pairs = new_trainer(cfg, open_dataset(cfg.data), 2, CPU)
    rows = list(moment_rows(pairs, measured_moments(cfg, pairs)))
    ratios = {name: [r["ratio_biased"] for r in rows if r["layer"] == name] for name in LAYERS}
    assert ratios["hidden1"] == pytest.approx([0.5, 0.5], abs=0.02)
    for name in ("hidden2", "hidden3"):
        assert ratios[name] == pytest.approx([1, 1], abs=0.02)


def test_networks_that_diverge_or_have_not_trained_are_measured_all_the_same():
    """So high a rate loses every network; the first stop comes before a step of 256 examples."""
    cfg = compose("inference", ["scale=smoke", "lr=1e38", "batches=[256]"])
    rows = list(cells(cfg)[1](cfg, open_dataset(cfg.data), CPU))
    stops = {(r["examples"], r["step"]) for r in rows if r["part"] == "accuracy"}
    assert stops == {(200, 0), (600, 2)}
    last = [r for r in rows if r["part"] == "x_hat" and r["layer"] == "hidden3"]
    assert [r["x_hat_var"] for r in last] == [None, None]
    assert len([r for r in rows if r["part"] == "fold"]) == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["batches=[2,512]"], "company_examples=256: must be at least 512"),
        (["population_examples=100"], "population_examples=100: must be at least 128"),
        (["regroupings=1"], "regroupings=1: must be at least 2"),
    ],
)
def test_settings_that_leave_nothing_to_measure_are_refused(overrides, words):
    with pytest.raises(UserError, match=words):
        validate(compose("inference", ["scale=smoke", *overrides]))
