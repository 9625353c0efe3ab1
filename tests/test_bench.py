"""The comparisons of `make bench`: equal contestants, and the arithmetic from their times."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch.testing import assert_close

from bnrepro.config import compose
from bnrepro.data import synthetic
from bnrepro.models.inception import Inception
from bnrepro.models.inception_init import initialise
from bnrepro.training.images import network_spec
from scripts import bench, bench_inception, plan

SECONDS = (0.4, 0.3, 0.2, 0.1)  # what the contestants take, made up


def made_up_times(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Every contestant once, and made-up medians."""
    for run in runs:
        run()
    return list(SECONDS[: len(runs)])


def test_every_mnist_contestant_runs_and_times_count_for_one_seed_and_step(monkeypatch):
    monkeypatch.setattr(bench, "STEPS", 2)
    monkeypatch.setattr(bench, "SEEDS", 5)
    monkeypatch.setattr(bench, "medians", made_up_times)
    cfg = compose("mnist", ["variant=bn", "data=synthetic"])
    times = bench.measure(bench.contestants(cfg, synthetic(200, 60)))
    assert times == pytest.approx([0.4e6 / 2, 0.3e6 / 2, 0.2e6 / 2 / 5, 0.1e6 / 2 / 5])


@pytest.mark.parametrize("scale", ["small", "gpu"])
def test_the_inception_step_s_measures_follow_from_the_times(scale, monkeypatch):
    monkeypatch.setattr(bench_inception, "STEPS", {"cpu": 1})
    monkeypatch.setattr(bench_inception, "SIDE", {"cpu": 64})
    monkeypatch.setattr(bench_inception, "IMAGES", 64)
    monkeypatch.setattr(bench_inception, "medians", made_up_times)
    monkeypatch.setattr(bench_inception, "together", lambda cfg: 1e3 / bench_inception.alone(cfg))
    arm = ["variant=bn_x5", "model.width=0.1", "cuda_graphs=false"]
    cfg = compose("inception", [*arm, f"scale={scale}"])
    values = dict(
        zip(
            bench_inception.MEASURES,
            bench_inception.measure(cfg, torch.device("cpu")),
            strict=True,
        )
    )
    share = plan.flops(cfg) / SECONDS[2] / (4 * 2 * 64**3 / SECONDS[0])
    assert values == {
        "plain": "400.0",
        "plain, batches ready": "300.0",
        "here": "200.0",
        "two side by side": "400.0",
        "plain / here": "2.00×",
        "plain / two side by side": "1.00×",
        "images a second here": f"{cfg.optim.batch / 0.2:.0f}",
        "share of the ceiling here": f"{share:.0%}",
    }


@pytest.mark.parametrize("variant", ["inception", "bn_x5"])
def test_the_network_as_figure_5_draws_it_is_the_same_function(variant):
    cfg = compose("inception", ["scale=small", f"variant={variant}", "model.width=0.1"])
    ours, drawn = (Inception(network_spec(cfg, 10, 1)) for _ in range(2))
    for network in (ours, drawn):
        initialise(network, 0)
    drawn = bench_inception.as_drawn(drawn)
    x = torch.randn(4, 1, 28, 28)
    for network in (ours, drawn):
        network.eval()
    assert_close(drawn(x), ours(x), rtol=1e-4, atol=1e-5)
