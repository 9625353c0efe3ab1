"""Two gloo processes under torchrun: equal to one with the whole mini-batch, killed, resumed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from bnrepro import ROOT
from bnrepro.config import compose
from bnrepro.data.order import Order
from bnrepro.errors import UserError
from bnrepro.run import processes
from bnrepro.run.record import read_rows
from bnrepro.training.images import ImageTrainer, in_steps, in_updates, updates_of_grid
from experiments.inception.__main__ import main
from scripts import render
from tests.drawing import more
from tests.experiments.killed import imported
from tests.forked import Done, two_processes

# Sigmoid and a large ε: the narrow ReLU network would blow rounding up tenfold with every update.
SMOOTH = ["variant=bn_x5_sigmoid", "model.eps=0.1"]
COMMON = ["scale=smoke", *SMOOTH, "budget.steps=16", "wandb.mode=disabled"]
PAIR = [*COMMON, "optim.batch=16", "sync_bn=true", "processes=2"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]


def together(work: Callable[[], object], results: Path) -> Done:
    """Two processes that each do the work with the same command line."""
    imported("inception")
    return two_processes(work, [*PAIR, f"results={results}"])


def dying() -> None:
    """The command, whose second process kills itself in its seventh update."""
    usual = ImageTrainer._train_step

    def deadly(trainer: ImageTrainer) -> torch.Tensor:
        if trainer.step == 6 and processes.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(trainer)

    ImageTrainer._train_step = deadly  # type: ignore[method-assign]
    main()


def apart(*overrides: str) -> Callable[[], None]:
    """The command, each process with an override more, by its number."""

    def work() -> None:
        sys.argv.append(overrides[int(os.environ["RANK"])])
        main()

    return work


def rows(results: Path) -> list[dict]:
    """What was recorded, without the clock."""
    (path,) = results.rglob("metrics.jsonl")
    return [{k: v for k, v in row.items() if k != "wall_s"} for row in read_rows(path)]


def state(results: Path) -> dict:
    (path,) = results.rglob("checkpoint-seed-0.pt")
    return torch.load(path, weights_only=True)


def momenta(results: Path) -> torch.Tensor:
    buffers = state(results)["optimiser"]["state"].values()
    return torch.cat([b["momentum_buffer"].flatten() for b in buffers])


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """What two undisturbed processes leave."""
    results = tmp_path_factory.mktemp("pair")
    done = together(main, results)
    assert done.returncode == 0, done.stderr
    return results


@pytest.mark.thorough
def test_torchrun_starts_the_same_processes(pair, tmp_path):
    command = [sys.executable, *TORCHRUN, "experiments.inception", *PAIR, f"results={tmp_path}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=600)
    assert rows(tmp_path) == rows(pair)


def test_two_processes_with_synchronised_statistics_equal_one(pair, run, tmp_path):
    """After 8 updates in float32; statistics of each process alone miss the second bound by 700."""
    assert run(main, [*COMMON, "model.engine=paper", f"results={tmp_path}"]) == 0
    ours, theirs = rows(pair), rows(tmp_path)
    assert [r["step"] for r in ours] == [r["step"] for r in theirs] == [2, 4, 8]
    assert [r["examples"] for r in ours] == [r["examples"] for r in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
    one, other = state(pair)["network"], state(tmp_path)["network"]
    assert_close(one, other, rtol=1e-5, atol=1e-5)
    difference = (momenta(pair) - momenta(tmp_path)).norm() / momenta(tmp_path).norm()
    assert difference < 1e-3


def test_the_first_process_alone_writes_and_the_number_is_recorded(pair):
    (folder,) = (pair / "inception/smoke").iterdir()
    assert folder.name.startswith("bn_x5_sigmoid-")
    (meta,) = pair.rglob("meta.json")
    assert json.loads(meta.read_text())["processes"] == 2
    assert len(list(pair.rglob("summary.json"))) == 1


@pytest.mark.thorough
def test_runs_of_several_processes_are_shown_under_the_overrides_they_had(pair, run, capsys):
    assert run(render.main, ["inception", *PAIR, f"results={pair}"]) == 0
    assert "figure-2.png" in capsys.readouterr().out


@pytest.mark.thorough
def test_a_killed_process_ends_all_and_the_run_resumes_bitwise(pair, tmp_path):
    killed = together(dying, tmp_path)
    assert killed.returncode != 0
    assert "to resume" in killed.stderr
    assert state(tmp_path)["step"] == 4
    resumed = together(main, tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert rows(tmp_path) == rows(pair)
    ours, theirs = state(tmp_path)["network"], state(pair)["network"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.thorough
def test_processes_that_see_different_disks_go_on_from_the_first_one_s_checkpoint(pair, tmp_path):
    killed = together(dying, tmp_path / "0")
    assert killed.returncode != 0
    done = together(apart(f"results={tmp_path}/0", f"results={tmp_path}/1"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path) == rows(pair)
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (["optim.lr=0.01", "optim.lr=0.02"], "config"),
        *more((["seeds=[0]", "seeds=[1]"], "seeds")),
    ],
)
def test_processes_with_different_commands_do_not_train(overrides, what, tmp_path):
    done = together(apart(*overrides), tmp_path)
    assert done.returncode != 0
    assert f"the processes have different {what}: start them with the same command" in done.stderr
    assert "Error:" not in done.stderr.replace("ChildFailedError:", "")
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_one_process_agrees_with_itself():
    processes.agree(config="a", data="b")
    assert processes.decided(lambda: 3) == 3
    with pytest.raises(UserError, match="mine"):
        processes.decided(fail)


def fail():
    raise UserError("mine")


@pytest.mark.parametrize("mode", ["full", "shards", "fixed"])
def test_the_parts_of_a_step_make_up_one_process_s_mini_batch(mode):
    whole = Order(mode, 0, 100, 12, 4)
    parts = [Order(mode, 0, 100, 4, 4, part, 3) for part in range(3)]
    for epoch in range(2):
        assert torch.equal(torch.cat([p.batches(epoch) for p in parts], 1), whole.batches(epoch))
    assert [whole.place(step) for step in range(20)] == [parts[1].place(s) for s in range(20)]


def test_durations_count_steps_of_32_examples_whatever_an_update_has():
    cfg = compose("inception", ["scale=smoke", "processes=4"])
    assert (in_updates(cfg, 12), in_steps(cfg, 3)) == (3, 12)
    assert updates_of_grid(cfg, [[4, 2], [12, 4]]) == [1, 1, 2, 3]
    cfg.processes, cfg.optim.batch = 1, 24
    assert (in_updates(cfg, 1), in_steps(cfg, 2)) == (2, 1.5)


def test_a_lost_process_is_one_line_and_other_errors_stay_what_they_are(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="with 2 processes, to resume"), processes.together():
        raise RuntimeError("[third_party/gloo/pair.cc] Connection closed by peer")
    with pytest.raises(RuntimeError, match="shape"), processes.together():
        raise RuntimeError("a wrong shape")


def test_a_number_of_processes_that_was_not_started_is_refused():
    with pytest.raises(UserError, match=r"processes=3: started were 1; .* --nproc_per_node=3"):
        processes.join(torch.device("cpu"), 3)
