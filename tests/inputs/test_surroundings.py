"""What disks, devices, memory and data refuse is one line; a finished run needs no disk."""

import errno
import os
import tempfile
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from bnrepro.cli import guard
from bnrepro.config import compose
from bnrepro.config.compose import sweep_folder
from bnrepro.data import open_images
from bnrepro.data.synthetic import synthetic
from bnrepro.errors import UserError
from bnrepro.explain import explain
from bnrepro.run.device import resolve_device
from bnrepro.training.images import ImageTrainer
from experiments.inference.measure import new_trainer
from experiments.mnist.__main__ import main
from scripts import compare, render

CPU = torch.device("cpu")
DISKS = {
    errno.ENOSPC: "No space left on device",
    errno.EROFS: "Read-only file system",
    errno.EACCES: "Permission denied",
    errno.ENAMETOOLONG: "File name too long",
    errno.ENOTDIR: "Not a directory",
    errno.EIO: "Input/output error",
    errno.EDQUOT: "Disk quota exceeded",
}


@pytest.mark.parametrize("code", DISKS)
def test_what_a_disk_refuses_is_one_line_that_names_the_place(code):
    line = explain(OSError(code, os.strerror(code), "/some/file"))
    assert line is not None
    assert line.startswith(f"/some/file: {DISKS[code]}; check the path")


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


EXPLAINED = [
    (MemoryError(), "out of memory"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out of memory"),
    (RuntimeError("CUDA error: out of memory"), "out of memory"),
    (BrokenProcessPool("a child"), "a worker process was killed"),
    (torch.distributed.DistNetworkError("connect()"), "do not find each other (connect())"),
    (ModuleNotFoundError("No module named 'torch'", name="torch.nn"), "torch is not installed"),
    (ImportError("libx.so: cannot open", name="torch._C"), "torch cannot be loaded (libx.so"),
    (chained(RuntimeError("job"), UserError("seeds=0: no")), "seeds=0: no"),
    (chained(RuntimeError("job"), OSError(28, "No space", "/x")), "/x: No space"),
]


@pytest.mark.parametrize(("error", "words"), EXPLAINED, ids=str)
def test_what_the_machine_refuses_is_one_line(error, words):
    line = explain(error)
    assert line is not None
    assert words in line
    assert "\n" not in line


FAULTS = [
    ValueError("a fault of this program"),
    RuntimeError("shape mismatch"),
    KeyError("x"),
    ModuleNotFoundError("No module named 'experiments.x'", name="experiments.x"),
    ImportError("cannot import name 'x'", name="bnrepro.config"),
]


@pytest.mark.parametrize("error", FAULTS, ids=str)
def test_a_fault_of_the_program_keeps_its_traceback(error):
    assert explain(error) is None


def test_an_interrupt_ends_with_status_130_and_how_to_resume(run, capsys):
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run(lambda: guard(interrupted), []) == 130
    assert capsys.readouterr().err.startswith("interrupted: run the same command again")


@pytest.mark.parametrize("name", ["meta", "xyz", "cuda:99", ""])
def test_a_device_without_memory_or_arithmetic_is_refused(name):
    with pytest.raises(UserError, match=f"device={name}: not usable here") as caught:
        resolve_device(name)
    assert len(str(caught.value)) < 250


def test_a_shift_that_leaves_nothing_of_an_image_is_refused():
    data = synthetic()
    for shift in (28, 100):
        cfg = compose("inception", ["scale=smoke", f"pictures.shift={shift}"])
        with pytest.raises(UserError, match=f"shift={shift}: the images of synthetic have 28 pix"):
            ImageTrainer(cfg, 0, data, CPU)
    ImageTrainer(compose("inception", ["scale=smoke", "pictures.shift=27"]), 0, data, CPU)


def test_a_mini_batch_larger_than_the_test_set_is_refused():
    cfg = compose("inference", ["scale=smoke"])
    with pytest.raises(UserError, match="batches: 401: synthetic has only 400 test images"):
        new_trainer(cfg, open_images(cfg.data), 401, CPU)


# --- disks ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A results folder with a finished run of `mnist`, arm bn."""
    results = tmp_path_factory.mktemp("results")
    patch = pytest.MonkeyPatch()
    patch.setattr("sys.argv", ["mnist", "scale=smoke", "variant=bn", f"results={results}"])
    patch.setenv("WANDB_MODE", "disabled")
    main()
    patch.undo()
    return results


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_sweeps_files_lie_beside_its_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sweep_folder("~/runs") == str(tmp_path / "runs/multirun")
    assert not any((tmp_path / "runs/multirun").iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_sweep_of_finished_runs_says_so_on_a_disk_that_takes_nothing(
    finished, run, monkeypatch, caplog, tmp_path, code
):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    caplog.set_level("INFO")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    before = files_of(finished)
    assert run(main, ["-m", "scale=smoke", "variant=bn", f"results={finished}"]) == 0
    assert "2 of 2 seeds finished before" in caplog.text
    assert files_of(finished) == before
    assert (tmp_path / f"bnrepro-multirun-{os.getuid()}/multirun.yaml").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_figures_that_the_disk_refuses_are_one_line(finished, run, monkeypatch, capsys, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))  # as writing does, without the file's name

    monkeypatch.setattr(Figure, "savefig", refuse)
    words = ["mnist", "scale=smoke", "variant=bn", f"results={finished}"]
    assert run(lambda: guard(render.main), words) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"error: {finished}/mnist/smoke/figures: cannot be written ({os.strerror(code)}" in line
    folder = finished / "mnist/smoke/bn"
    target = finished / "compared"
    assert run(lambda: guard(compare.main), [str(folder), "--to", str(target)]) == 2
    assert f"error: {target}: cannot be written" in capsys.readouterr().err


def test_a_target_that_is_no_folder_is_one_line(finished, run, capsys, tmp_path):
    (tmp_path / "file").touch()
    words = [str(finished / "mnist/smoke/bn"), "--to", str(tmp_path / "file")]
    assert run(lambda: guard(compare.main), words) == 2
    assert f"error: {tmp_path}/file" in capsys.readouterr().err
