"""Shapes and drifts of distributions against SciPy, and what each part of a drift answers to."""

import numpy as np
import pytest
import torch
from scipy import stats

from bnrepro.seeding import stream
from bnrepro.training.distributions import density, distances, drift, measure_shape


def sample(seed: int, power: float = 1.0) -> torch.Tensor:
    """Values (1, 300, 2) in float64, skewed by the power."""
    values = torch.rand(1, 300, 2, generator=stream(seed, "sample"), dtype=torch.float64)
    return values**power


def moved(values: torch.Tensor, before: torch.Tensor) -> dict[str, float]:
    columns = drift(measure_shape(values), measure_shape(before))
    return {name: float(value) for name, value in columns.items()}


def test_shape_agrees_with_scipy():
    generator = stream(0, "shape")
    values = torch.rand(1, 400, 3, generator=generator, dtype=torch.float64) ** 3
    values[..., 1] = torch.relu(values[..., 1] - 0.3)  # many ties at zero
    values[..., 2] = 5.0  # constant: no shape
    columns = distances(measure_shape(values), None)
    z = [stats.zscore(values[0, :, i].numpy()) for i in range(2)]
    expected = {
        "skewness": np.mean([stats.skew(v) for v in z]),
        "absolute_skewness": np.mean([abs(stats.skew(v)) for v in z]),
        "kurtosis": np.mean([stats.kurtosis(v) for v in z]),
        "gaussian_distance": np.mean([stats.kstest(v, "norm").statistic for v in z]),
        "zeros": float((values == 0).double().mean()),
        "live": 2 / 3,
    }
    for name, value in expected.items():
        assert float(columns[name]) == pytest.approx(value, abs=1e-9), name
    assert columns["shape_change"].isnan().all()


def test_shape_change_is_wasserstein_and_ignores_mean_and_scale():
    a = torch.randn(1, 300, 1, generator=stream(1, "shape"), dtype=torch.float64)
    b = torch.exp(torch.randn(1, 300, 1, generator=stream(2, "shape"), dtype=torch.float64))
    first = measure_shape(a)
    same = distances(measure_shape(3 * a + 7), first)["shape_change"]
    other = distances(measure_shape(b), first)["shape_change"]
    z = [stats.zscore(v[0, :, 0].numpy()) for v in (a, b)]
    assert float(same) == pytest.approx(0, abs=1e-12)
    assert float(other) == pytest.approx(stats.wasserstein_distance(*z), abs=1e-9)


def test_density_integrates_to_the_share_within_its_range():
    shape = measure_shape(torch.randn(1, 2000, 1, generator=stream(3, "shape")))
    rows = list(density(shape, 0))
    assert sum(row["density"] for row in rows) * (rows[1]["z"] - rows[0]["z"]) > 0.999
    assert max(row["density"] for row in rows) == pytest.approx(0.4, abs=0.1)


def test_drift_is_the_wasserstein_distance_in_units_of_the_mean_spread():
    before, after = sample(0), 3 * sample(1, 4.0) + 0.5
    expected = []
    for unit in range(2):
        a, b = before[0, :, unit].numpy(), after[0, :, unit].numpy()
        expected.append(stats.wasserstein_distance(a, b) / ((a.std() + b.std()) / 2))
    found = moved(after, before)
    assert found["total"] == pytest.approx(np.mean(expected), rel=1e-9)
    assert moved(before, after)["total"] == pytest.approx(found["total"], rel=1e-12)


def test_a_shift_of_the_mean_is_all_mean():
    before = sample(0)
    found = moved(before + 2, before)
    spread = before[0].std(0, correction=0)
    assert found["mean"] == pytest.approx(float((2 / spread).mean()), rel=1e-9)
    assert found["total"] == pytest.approx(found["mean"], rel=1e-9)
    assert (found["scale"], found["shape"]) == pytest.approx((0, 0), abs=1e-9)


def test_a_change_of_scale_about_the_mean_is_all_scale():
    before = sample(0)
    centred = before - before.mean(1, keepdim=True)
    found = moved(3 * centred, centred)
    assert found["scale"] == pytest.approx(found["total"], rel=1e-9)
    assert found["total"] > 0.5
    assert (found["mean"], found["shape"]) == pytest.approx((0, 0), abs=1e-9)


def test_a_change_of_shape_alone_is_all_shape():
    before, after = (torch.from_numpy(stats.zscore(v, axis=1)) for v in (sample(0), sample(1, 4.0)))
    found = moved(after, before)
    assert found["shape"] == pytest.approx(found["total"], rel=1e-9)
    assert found["total"] > 0.1
    assert (found["mean"], found["scale"]) == pytest.approx((0, 0), abs=1e-9)


def test_a_drift_is_at_most_the_sum_of_its_parts():
    found = moved(3 * sample(1, 4.0) + 0.5, sample(0))
    assert 0 < found["total"] <= found["mean"] + found["scale"] + found["shape"]


def test_a_unit_that_is_constant_once_is_left_out_of_the_drift():
    before, after = sample(0), sample(1)
    whole = moved(after[..., :1], before[..., :1])
    before[..., 1] = 4.0
    assert moved(after, before) == pytest.approx(whole)
    before[..., 0] = 4.0
    assert all(np.isnan(value) for value in moved(after, before).values())
