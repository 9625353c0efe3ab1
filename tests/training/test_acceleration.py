"""bf16, compiled and graphed updates against the plain one; out of memory in one line."""

import shutil

import pytest
import torch

from bnrepro.config import compose
from bnrepro.data import synthetic
from bnrepro.training.images import ImageTrainer
from experiments.inception.__main__ import main

SMOOTH = ["scale=smoke", "model.eps=0.1"]  # see test_processes.py


def trainer(device: str, variant: str, *overrides: str) -> ImageTrainer:
    cfg = compose("inception", [*SMOOTH, f"variant={variant}", *overrides])
    return ImageTrainer(cfg, 0, synthetic(200, 60), torch.device(device))


def trained(device: str, variant: str, *overrides: str) -> tuple[list[float], ImageTrainer]:
    made = trainer(device, variant, *overrides)
    return [float(loss) for loss in made.run(range(1, 9))], made


def test_bf16_trains_near_float32_and_keeps_its_statistics_in_float32():
    """bfloat16 keeps 8 bits: losses of 2.3 agree to 2 %, and not to float32's rounding."""
    half = trainer("cpu", "bn_x5_sigmoid", "precision=bf16")
    ours = [float(loss) for loss in half.run(range(1, 5))]
    theirs = trained("cpu", "bn_x5_sigmoid")[0][:4]
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
@pytest.mark.parametrize(
    "how",
    [
        ["cuda_graphs=true"],
        ["compile=true"],
        ["cuda_graphs=true", "optim.replicas=3", "optim.warm_start=2"],
    ],
)
def test_a_quick_update_gives_the_curve_of_the_plain_one(how, variant):
    """Losses to 1e-3, weights and momentum to 1 % of how far they moved: the kernels are the same
    or fused, rounding is not."""
    overrides = ("optim.lr=0.0001", *how[1:])
    losses, plain = trained("cuda", variant, *overrides)
    ours, quick = trained("cuda", variant, *overrides, how[0])
    assert ours == pytest.approx(losses, rel=1e-3)
    start = weights(trainer("cuda", variant, *overrides))
    moved = (weights(plain) - start).norm()
    assert (weights(quick) - weights(plain)).norm() < 0.01 * moved
    pushed = momentum(plain)
    assert (momentum(quick) - pushed).norm() < 0.01 * pushed.norm()


def weights(made: ImageTrainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in made.network.parameters()])


def momentum(made: ImageTrainer) -> torch.Tensor:
    state = made.optimiser.state
    return torch.cat([state[p]["momentum_buffer"].flatten() for p in made.network.parameters()])
