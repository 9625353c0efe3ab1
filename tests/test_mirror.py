"""What goes to the W&B mirror: flat charts, a group an experiment and a job type an arm."""

from bnrepro import mirror
from bnrepro.config import compose
from bnrepro.training.probes import HISTOGRAM_EDGES
from bnrepro.wandb_sink import Histogram


def test_a_row_becomes_flat_charts_without_the_percentiles_of_single_units():
    counts = [1] * (len(HISTOGRAM_EDGES) - 1)
    row = {
        "step": 5,
        "test_accuracy": 0.5,
        "grad_norm": {"hidden1": 2.0},
        "percentiles": {"training": {"hidden1": [[0.0], [1.0], [2.0]]}},
        "histogram": {"hidden1": counts},
    }
    assert mirror.flatten(row) == {
        "step": 5,
        "test_accuracy": 0.5,
        "grad_norm/hidden1": 2.0,
        "inputs/hidden1": Histogram(counts, HISTOGRAM_EDGES),
    }


def test_a_run_is_named_so_that_arms_and_seeds_overlay(monkeypatch):
    opened = []
    monkeypatch.setattr(mirror, "open_sink", lambda settings, **about: opened.append(about))
    cfg = compose("inception", ["variant=bn_x5", "scale=smoke"])
    mirror.open_mirrors(cfg, [0, 3], "bn_x5")
    assert [about["name"] for about in opened] == ["bn_x5/seed-0", "bn_x5/seed-3"]
    assert {(about["group"], about["job_type"]) for about in opened} == {
        ("inception/smoke", "bn_x5")
    }
    assert [about["config"]["seed"] for about in opened] == [0, 3]
    assert opened[0]["config"]["optim"]["multiplier"] == 5
