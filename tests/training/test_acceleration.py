"""bf16, compiled and graphed updates against the plain one; out of memory in one line."""

import shutil

import pytest
import torch

from bnrepro.config import compose
from bnrepro.data import synthetic
from bnrepro.training.images import ImageTrainer
from experiments.inception import main

SMOOTH = ["scale=smoke", "model.eps=0.1"]  # see test_processes.py


def trainer(device: str, variant: str, *overrides: str) -> ImageTrainer:
    cfg = compose("inception", [*SMOOTH, f"variant={variant}", *overrides])
    return ImageTrainer(cfg, 0, synthetic(200, 60), torch.device(device))


def losses(device: str, variant: str, *overrides: str) -> list[float]:
    return [float(loss) for loss in trainer(device, variant, *overrides).run(range(1, 9))]


def test_bf16_trains_near_float32_and_keeps_its_statistics_in_float32():
    """bfloat16 keeps 8 bits: losses of 2.3 agree to 2 %, and not to float32's rounding."""
    half = trainer("cpu", "bn_x5_sigmoid", "precision=bf16")
    ours = [float(loss) for loss in half.run(range(1, 5))]
    theirs = losses("cpu", "bn_x5_sigmoid")[:4]
    assert ours == pytest.approx(theirs, rel=0.02)
    assert ours != pytest.approx(theirs, rel=1e-6)
    floating = [v for v in half.network.state_dict().values() if v.is_floating_point()]
    assert {v.dtype for v in floating} == {torch.float32}


def test_out_of_memory_is_one_line_that_says_what_to_lower(run, monkeypatch, tmp_path, capsys):
    def full(self: ImageTrainer) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(ImageTrainer, "_train_step", full)
    assert run(main, ["scale=smoke", f"results={tmp_path}"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the device is out of memory (CUDA out of memory)")
    assert "optim.batch=32" in error


def test_compile_without_a_compiler_is_one_line(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert run(main, ["scale=smoke", "compile=true", f"results={tmp_path}"]) == 2
    assert "compile=true: needs a C++ compiler" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("variant", ["bn_x5_sigmoid", "bn_baseline"])  # the latter with dropout
@pytest.mark.parametrize("how", ["cuda_graphs=true", "compile=true"])
def test_a_quick_update_gives_the_plain_one_s_curve(how, variant):
    """To 1e-3: the kernels are the same or fused, rounding is not."""
    plain = losses("cuda", variant, "optim.lr=0.0001")
    assert losses("cuda", variant, "optim.lr=0.0001", how) == pytest.approx(plain, rel=1e-3)
