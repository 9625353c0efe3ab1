"""Section 3.1's experiment: its statistics against PyTorch's, and the command end to end."""

import json

import pytest
import torch
from torch import nn

from bnrepro.config import compose
from bnrepro.config.claims import read_claims
from bnrepro.data import open_dataset
from bnrepro.evidence.sweep_evidence import SweepEvidence
from bnrepro.evidence.verdicts import metric
from bnrepro.models.mlp import in_float64
from bnrepro.run.record import read_rows
from experiments.inference.__main__ import main
from experiments.inference.folding import as_module, fold_rows
from experiments.inference.measure import (
    company_rows,
    enumeration_rows,
    grouped,
    measured_moments,
    new_trainer,
    random_order,
    spread_rows,
    use_population,
    x_hat_rows,
)
from experiments.inference.metrics import PAPER_BATCH
from scripts import render


@pytest.fixture(scope="module")
def cfg():
    return compose("inference", ["scale=smoke"])


@pytest.fixture(scope="module")
def trainer(cfg):
    """Two networks trained for a few steps with mini-batches of 32."""
    trained = new_trainer(cfg, open_dataset(cfg.data), 32, torch.device("cpu"))
    list(trained.run([40]))
    use_population(trained.net, measured_moments(cfg, trained, 32), 32 / 31)
    return trained


def test_grouped_is_the_training_form_of_each_mini_batch(trainer):
    x = trainer.x[:96]
    logits, moments = grouped(trainer.net, x, 32)
    each = [trainer.net.forward(batch) for batch in x.split(32)]
    assert torch.allclose(logits, torch.cat([e[0] for e in each], 1), atol=1e-5)
    for i, layer in enumerate(moments):
        means, variances = zip(*[(e[1][i].mean, e[1][i].var) for e in each], strict=True)
        assert torch.allclose(layer.mean, sum(means) / 3, atol=1e-5)
        assert torch.allclose(layer.biased, sum(variances) / 3, atol=1e-5)


def test_population_statistics_agree_with_the_networks_own_algorithm_2(trainer, cfg):
    order = random_order(len(trainer.x), cfg.population_examples, 32, "population")
    mine = dict(trainer.net.population)
    trainer.net.estimate_population(trainer.x[order].split(32))
    assert mine.keys() == trainer.net.population.keys()
    for key, value in trainer.net.population.items():
        assert torch.allclose(mine[key], value, atol=1e-5)


def test_orders_are_whole_mini_batches_without_repeats():
    order = random_order(100, 50, 16, "test")
    assert len(order) == 48
    assert len(set(order.tolist())) == 48
    assert not torch.equal(order, torch.arange(48))
    assert not torch.equal(order, random_order(100, 50, 16, "other"))


def test_every_drawable_mini_batch_gives_the_factor_exactly(cfg):
    rows = enumeration_rows(cfg)
    assert {row["m"] for row in rows} == set(cfg.enumerated_batches)
    for row in rows:
        assert row["ratio_biased"] == pytest.approx((row["m"] - 1) / row["m"], abs=1e-13)
        assert row["ratio_unbiased"] == pytest.approx(1, abs=1e-13)


def test_company_matters_with_batch_statistics_only(cfg, trainer):
    rows = list(company_rows(cfg, trainer, 32))
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
    for row in spread_rows(cfg, trainer, 32):
        assert 0 < row["disagreement"] < 1
        assert 0 < row["deviation"] < 0.5


def test_x_hat_of_the_first_layer_is_normalised_at_inference(cfg, trainer):
    first = [row for row in x_hat_rows(cfg, trainer) if row["layer"] == "hidden1"]
    assert len(first) == 2
    for row in first:
        assert row["x_hat_mean"] < 0.15
        assert row["x_hat_var"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("slot", [0, 1])
def test_the_module_that_is_folded_is_the_trained_network(trainer, slot):
    x = trainer.test_x[:50]
    expected = trainer.net.forward(x, "population")[0][slot]
    assert torch.allclose(as_module(trainer.net, slot, torch.float32)(x), expected, atol=1e-5)


def test_folding_keeps_outputs_and_drops_what_bn_stored(cfg, trainer):
    for row in fold_rows(trainer.net, trainer.test_x[:20], 2):
        assert 0 < row["error_in_epsilons"] < 1000
        # BN stores γ, β, mean and variance of each unit; the folded layer one bias.
        assert row["numbers"] - row["numbers_folded"] == 3 * sum(cfg.hidden)
        assert row["time_ratio"] > 0


def test_the_second_layers_inputs_are_not_independent_draws():
    """Why m/(m−1) overshoots in deeper layers: with m = 2, x̂ = ±1, so that every mini-batch's
    mean of g(x̂) is the same, and the average σ²_B is already the whole variance."""
    x = torch.randn(4000, 1, dtype=torch.float64)
    pairs = nn.functional.batch_norm(x.view(2000, 2).T, None, None, training=True).T
    y = torch.sigmoid(pairs)
    assert float(y.var(1, unbiased=False).mean() / y.var(unbiased=False)) == pytest.approx(
        1, abs=1e-3
    )


def test_smoke_run_and_figures(run, tmp_path):
    arguments = ["scale=smoke", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    folder = tmp_path / "inference/smoke/sweep"
    assert json.loads((folder / "summary.json").read_text())["status"] == "ok"
    evidence = SweepEvidence(read_rows(folder / "metrics.jsonl"))
    assert {row["m"] for row in evidence.where(part="accuracy")} == {2, PAPER_BATCH, 128}
    for claim in read_claims("inference"):
        values = metric(claim)(evidence, claim)
        assert values
        assert None not in values
    assert run(render.main, ["inference", *arguments]) == 0
    figures = tmp_path / "inference/smoke/figures"
    names = {"accuracy.png", "accuracy.svg", "statistics.png", "statistics.svg", "table.md"}
    assert {path.name for path in figures.iterdir()} == names
    assert "float64" in (figures / "table.md").read_text()
