"""The scale equations against torch's batch norm, and the probe."""

import json

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from bnrepro.config import compose
from bnrepro.config.schema import ModelConfig
from bnrepro.data import synthetic
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.steps import second_half_growth
from bnrepro.models.mlp import Slot, SlotMLP
from bnrepro.run.record import read_rows
from bnrepro.training.slot_rows import first_layer
from experiments.scale_invariance import figures
from experiments.scale_invariance.__main__ import main
from experiments.scale_invariance.measure import (
    differentiate,
    exact_rows,
    normalized_layer,
    probe,
)
from tests.drawing import legend, more
from tests.experiments.killed import run_and_die

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cfg():
    return compose("scale_invariance", ["scale=smoke"])


@pytest.fixture(scope="module")
def data():
    return synthetic(300, 20)


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_layer_and_jacobians_are_those_of_torchs_batch_norm(cfg, data, eps):
    u, weight = first_layer(cfg, data.train_images[: cfg.exact_examples], 0, cfg.exact_units)

    def reference(u, weight):
        return F.batch_norm(u @ weight, None, None, training=True, eps=eps)

    computed = differentiate(normalized_layer(eps), u, weight)
    by_input, by_weight = torch.autograd.functional.jacobian(reference, (u, weight))
    assert_close(computed.output, reference(u, weight))
    assert_close(computed.by_input, by_input)
    assert_close(computed.by_weight, by_weight)
    z = torch.sigmoid(computed.output)
    assert computed.flow == pytest.approx(float(((z * (1 - z))[..., None, None] * by_input).norm()))


def test_equations_hold_without_epsilon_and_their_form_with_it(cfg, data):
    for eps in (0.0, 1e-3):
        rows = list(exact_rows(cfg, data, CPU, 1, eps))
        assert sorted(row["a"] for row in rows) == [-1e4, -1, -1e-4, 1e-4, 1, 1e4]
        assert max(row["prediction_error"] for row in rows) < 1e-12
        largest = max(row["jacobian_error"] for row in rows)
        assert (largest < 1e-12) == (eps == 0)
        pulls = {row["a"]: row["pull"] for row in rows}
        assert pulls[1e4] == pytest.approx(1e-4, rel=1e-2 if eps else 1e-9)


def test_negative_scale_flips_the_sign(cfg, data):
    u, weight = first_layer(cfg, data.train_images[: cfg.exact_examples], 0, cfg.exact_units)
    assert_close(normalized_layer(1e-3)(u, -2 * weight), -normalized_layer(1e-3 / 4)(u, weight))


def test_plain_layer_is_not_blind_to_scale(cfg, data):
    rows = {row["a"]: row for row in exact_rows(cfg, data, CPU, 0, None)}
    assert rows[1e4]["output_error"] == pytest.approx(1e4 - 1)
    assert rows[-1.0]["flow"] == pytest.approx(1.0)
    assert rows[1e-4]["flow"] < 1e-3
    assert "prediction_error" not in rows[1e4]


@pytest.mark.parametrize("factor", [2.0, 3.0])  # dividing by 3 again would not undo the product
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_probe_measures_and_leaves_the_network_alone(cfg, norm, factor):
    slots = [Slot(seed, 0.5, 0.3) for seed in (0, 1)]
    net = SlotMLP(
        ModelConfig(cfg.hidden, "sigmoid", norm, "normal", eps=cfg.eps, bn_momentum=0.1),
        slots,
        9,
        10,
        dtype=torch.float64,
    )
    before = {key: value.clone() for key, value in (net.params | net.moving).items()}
    x = torch.rand(2, 40, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = (torch.arange(80) % 10).view(2, 40)
    values = probe(net, x, labels, torch.tensor([0.5, 0.5]), factor)
    for key, value in (net.params | net.moving).items():
        assert_close(value, before[key], rtol=0, atol=0)
    assert net.updates == 0
    hidden = [net.params[f"hidden{i}.weight"][1] for i in (1, 2, 3)]
    norm_1 = torch.cat([w.flatten() for w in hidden]).norm()
    assert_close(values["weight"][1], norm_1)
    assert_close(values["effective_rate"][1], 0.5 / norm_1**2, check_dtype=False)
    ratio, cosine = values["gradient_ratio"], values["cosine"].abs().max()
    assert (abs(factor * ratio - 1).max() < 0.01) == (norm == "batch")
    assert (cosine < 1e-3) == (norm == "batch")


def test_growth_is_that_of_the_second_half():
    rows = [{"step": t, "weight": w} for t, w in ((1, 1.0), (50, 2.0), (70, 3.0), (100, 4.0))]
    assert second_half_growth(rows, "weight") == pytest.approx(0.6931, abs=1e-4)
    assert second_half_growth([*rows, {"step": 101, "weight": None}], "weight") is None


@pytest.mark.parametrize("rows", more(1, 3, 4))
def test_a_killed_sweep_goes_on_to_the_same_rows(rows, run, tmp_path):
    arguments = ["scale=smoke", f"results={tmp_path}"]
    run_and_die("scale_invariance", "row", rows, arguments)
    folder = tmp_path / "scale_invariance/smoke/sweep"
    assert not (folder / "summary.json").exists()
    assert run(main, arguments) == 0
    assert run(main, ["scale=smoke", f"results={tmp_path}/other"]) == 0
    other = tmp_path / "other/scale_invariance/smoke/sweep"
    assert read_rows(folder / "metrics.jsonl") == read_rows(other / "metrics.jsonl")
    assert json.loads((folder / "meta.json").read_text())["commit"]


def test_figures_and_tables_show_every_epsilon_and_rate():
    exact = [
        {"seed": 0, "eps": eps, "a": a, "flow": 1.0, "pull": 1.0, "output_error": 1e-16,
         "jacobian_error": 1e-16, "gradient_error": 1e-16, "prediction_error": 1e-16}
        for eps in (0.0, 1e-6, 1e-5, 1e-4, 1e-3, None)
        for a in (0.1, -0.1, 1.0, -1.0)
    ]  # fmt: skip
    columns = dict.fromkeys((*figures.COLUMNS, "cosine"), 0.5)
    training = [
        {"arm": arm, "seed": 0, "lr": lr, "step": step, "probe_scale": 2.0, **columns}
        for arm in ("baseline", "bn")
        for lr in (0.1, 0.2, 0.4, 0.8)
        for step in (1, 2)
    ]
    evidence = Evidence(exact=exact, training=training)
    layer, runs = figures.tables(evidence)
    assert len(layer) == 1 + 6
    assert len(runs) == 1 + 2 * 4
    drawn = figures.layer_figure(evidence)
    assert len(legend(drawn)) == 6 + 2  # the law, and the comparison with ε/a²
    gradients, weights, _ = figures.training_figure(evidence).axes
    assert len(gradients.get_lines()) == 2 * 4 + 1
    assert len(weights.get_lines()) == 2  # of the highest rate
