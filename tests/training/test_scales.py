"""Every scale takes an update, an evaluation and a probe at its size; paper is the paper's."""

import pytest
import torch

from bnrepro.config import compose, validate
from bnrepro.data import shape
from bnrepro.training.image_rows import measure
from bnrepro.training.images import ImageTrainer, learning_rate, total_steps
from scripts.plan import made_up


@pytest.mark.parametrize("scale", ["small", "gpu", "paper"])
@pytest.mark.parametrize("variant", ["inception", "bn_x5"])
def test_a_scale_trains_at_its_size(scale, variant):
    cfg = compose("inception", [f"scale={scale}", f"variant={variant}", "optim.batch=2"])
    validate(cfg)
    cfg.eval.probe_examples = 2
    trainer = ImageTrainer(cfg, 0, made_up(cfg, 2 * cfg.optim.batch), torch.device("cpu"))
    (loss,) = trainer.run([1])
    row = measure(trainer, loss, probed=True)
    assert row["step"] == 2 / 32
    assert set(row["histogram"]) == {"conv1", "3a", "4a", "5b"}
    assert trainer.network.classifier.out_features == shape(cfg.data.name).classes


def test_the_paper_scale_is_the_papers():
    arms = {
        v: compose("inception", ["scale=paper", f"variant={v}"]) for v in ("inception", "bn_x5")
    }
    plain, fast = arms.values()
    assert (total_steps(plain), total_steps(fast)) == (31_000_000, 5_166_667)
    assert (learning_rate(plain, 0), learning_rate(fast, 0)) == (0.0015, pytest.approx(0.0075))
    assert (plain.optim.batch, plain.model.width, plain.model.stem) == (32, 1, "imagenet")
    assert (plain.model.eps, plain.model.bn_momentum) == (1e-3, 3e-4)
    assert plain.eval.test_examples == 50_000
    assert shape(plain.data.name) == (1_281_167, 50_000, 1000, 3, 224)
