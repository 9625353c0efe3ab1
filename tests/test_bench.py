"""The comparisons of `make bench`: that they run and fill every line. Times are not judged."""

import torch

from bnrepro.config import compose
from scripts import bench_inception


def test_the_inception_step_has_a_value_for_every_measure(monkeypatch):
    monkeypatch.setattr(bench_inception, "STEPS", {"cpu": 1})
    monkeypatch.setattr(bench_inception, "SIDE", {"cpu": 64})
    monkeypatch.setattr(bench_inception, "ROUNDS", 1)
    monkeypatch.setattr(bench_inception, "IMAGES", 64)
    monkeypatch.setattr(bench_inception, "together", lambda cfg: 1e3 / bench_inception.alone(cfg))
    for scale in ("small", "gpu"):
        arm = ["variant=bn_x5", "model.width=0.1", "cuda_graphs=false"]
        cfg = compose("inception", [*arm, f"scale={scale}"])
        values = bench_inception.measure(cfg, torch.device("cpu"))
        assert len(values) == len(bench_inception.MEASURES)
        assert all(float(value.rstrip("×%")) >= 0 for value in values)
