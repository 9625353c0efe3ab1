"""Algorithm 1 on random values: references, and what breaks a claim."""

import pytest
import torch

from bnrepro.config import compose
from bnrepro.evidence.evidence import Evidence
from experiments.transform import measure, metrics
from experiments.transform.__main__ import main
from experiments.transform.measure import (
    central_differences,
    chain_of_losses,
    map_rows,
    mini_batch,
    normal,
    representation_rows,
    single_rows,
    six_gradients,
)


@pytest.fixture(scope="module")
def cfg():
    return compose("transform", ["scale=smoke"])


def layer(cfg, m=60):
    gamma, beta = (normal(0, name, 1, cfg.width) for name in ("gamma", "beta"))
    return mini_batch(cfg, 0, m), gamma, beta, normal(0, "loss", m, cfg.width)


def test_the_six_equations_are_what_autograd_gives(cfg):
    x, gamma, beta, weight = layer(cfg)
    found = six_gradients(x, gamma, beta, 1e-3, weight)
    for name, (loss, at) in chain_of_losses(x, gamma, beta, 1e-3, weight).items():
        value = at.clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(value).sum(), value)
        torch.testing.assert_close(found[name], expected, msg=name)


def test_central_differences_move_one_example_of_every_unit():
    at = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64)
    found = central_differences(lambda x: (x**2).sum(0), at, 1e-4)
    torch.testing.assert_close(found, 2 * at)


@pytest.mark.parametrize("name", metrics.GRADIENTS)
def test_a_wrong_equation_is_far_from_the_differences(cfg, monkeypatch, name):
    def wrong(*arguments):
        found = six_gradients(*arguments)
        return found | {name: 1.001 * found[name]}

    monkeypatch.setattr(measure, "six_gradients", wrong)
    rows = [{"seed": 0, **row} for row in measure.gradient_rows(cfg, 0)]
    (error,) = metrics.gradient_error(Evidence(gradient=rows), {})
    assert 9e-4 < error < 2e-3


def test_units_have_other_means_and_scales(cfg):
    x = mini_batch(cfg, 0, 60)
    assert x.std(0).max() > 20 * x.std(0).min()
    assert (x.mean(0).abs() > 0.1 * x.std(0)).any()
    assert not torch.equal(x, mini_batch(cfg, 1, 60))


def test_with_epsilon_the_mean_square_is_what_is_expected_and_the_identity_stays(cfg):
    rows = list(representation_rows(cfg, 0))
    moments = [row for row in rows if row["part"] == "moments"]
    assert all(row["square"] == pytest.approx(row["expected"], rel=1e-12) for row in moments)
    assert min(row["square"] for row in moments if row["eps"] > 0) < 1 - 1e-6
    assert max(row["error"] for row in rows if row["part"] == "identity") < 1e-12


def test_statistics_of_one_example_lose_its_scale_and_those_of_all_do_not(cfg):
    rows = list(single_rows(cfg, 0))
    assert max(row["own"] for row in rows) < 1e-12
    assert min(row["batch"] for row in rows) > 0.01


def test_a_feature_map_s_statistics_count_all_examples_and_places(cfg):
    rows = list(map_rows(cfg, 0))
    _, height, width = cfg.maps
    assert {row["count"] for row in rows} == {m * height * width for m in cfg.batch}
    assert max(row["error"] for row in rows) < 1e-12


def test_a_config_without_three_sizes_of_maps_is_named(run, tmp_path, capsys):
    assert run(main, ["scale=smoke", "maps=[3,4]", f"results={tmp_path}"]) == 2
    assert "maps=[3, 4]: three sizes" in capsys.readouterr().err
