"""The recorded loop: a run goes on from what is whole, or begins anew and says why."""

import json
import os

import pytest
import torch

from bnrepro.config import compose
from bnrepro.data.synthetic import synthetic
from bnrepro.errors import UserError
from bnrepro.run.loop import Recording, marking, record_training, resume
from bnrepro.run.progress import Bar
from bnrepro.run.record import Record
from tests.drawing import some
from tests.run.damage import CONTENTS, LINES, damage

STOPS = [1, 2, 3, 4, 5, 6]
CFG = compose("mnist", ["scale=smoke"])
DATA = synthetic(20, 10)


class Doubling:
    """A trainer of two networks whose every step doubles a weight; the losses are the weights."""

    device = torch.device("cpu")

    def __init__(self, die_at: int = 0) -> None:
        self.step, self.weights, self.die_at = 0, torch.tensor([1.0, 3.0]), die_at
        self.active = [0, 1]

    @property
    def paper_step(self):
        return self.step

    def run(self, stops):
        for stop in stops:
            if stop > self.step:
                if stop == self.die_at:
                    raise KeyboardInterrupt
                self.weights = self.weights * 2 ** (stop - self.step)
                self.step = stop
                yield self.weights

    def state_dict(self):
        return {"step": self.step, "weights": self.weights}

    def load_state_dict(self, state):
        self.step, self.weights = state["step"], state["weights"]


def recording_in(folder, identity="h"):
    records = [Record(folder / f"seed-{seed}") for seed in (0, 1)]
    return Recording(records, STOPS, folder / "checkpoint.pt", identity, every=2)


def train(folder, die_at=0, force=False, identity="h"):
    """Train and record; the step at which it began."""
    trainer, recording = Doubling(die_at), recording_in(folder, identity)

    def rows(losses):
        return [{"step": trainer.step, "x": float(x), "test_accuracy": None} for x in losses]

    resume(trainer, recording, CFG, DATA, [0, 1], force)
    begun = trainer.step
    with marking(recording.records, identity), Bar("", STOPS[-1], begun) as bar:
        record_training(trainer, recording, rows, bar)
        for record in recording.records:
            record.finish({"status": "ok", "config_hash": identity})
    return begun


def steps(folder, seed):
    return [row["step"] for row in Record(folder / f"seed-{seed}").rows()]


@pytest.fixture
def interrupted(tmp_path):
    """A run with a checkpoint at step 4 and rows up to 5."""
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, die_at=6)
    return tmp_path


@pytest.fixture
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return [Record(folder / f"seed-{seed}").rows() for seed in (0, 1)]


def rows_of(folder):
    return [Record(folder / f"seed-{seed}").rows() for seed in (0, 1)]


def test_an_interrupted_run_goes_on_after_its_checkpoint(interrupted, whole, caplog):
    assert steps(interrupted, 0) == [1, 2, 3, 4, 5]
    assert train(interrupted) == 4
    assert rows_of(interrupted) == whole
    assert not caplog.text


@pytest.mark.parametrize("change", some([*CONTENTS, *LINES], 4))
@pytest.mark.parametrize("name", ["seed-0/metrics.jsonl", "seed-1/metrics.jsonl", "checkpoint.pt"])
def test_a_run_that_is_not_whole_begins_anew_with_one_line(
    name, change, interrupted, whole, caplog
):
    if name == "checkpoint.pt" and change in LINES:
        change = "one bit flipped"
    damage(interrupted / name, (CONTENTS | LINES)[change])
    assert train(interrupted) == 0
    assert rows_of(interrupted) == whole
    assert caplog.text.count("\n") == 1
    assert f"{interrupted / name}: " in caplog.text
    assert "begins anew" in caplog.text


@pytest.mark.parametrize("tail", [b"\0" * 99, b'{"step":6', b'{"step":6}\n', b"\n\n", b"\xff\n"])
def test_what_follows_the_checkpoint_s_rows_is_dropped(tail, interrupted, whole, caplog):
    path = interrupted / "seed-1/metrics.jsonl"
    path.write_bytes(path.read_bytes() + tail)
    assert train(interrupted) == 4
    assert rows_of(interrupted) == whole
    assert not caplog.text


@pytest.mark.parametrize("name", ["meta.json", "config.yaml"])
@pytest.mark.parametrize("change", some(CONTENTS, 3))
def test_other_files_are_written_anew(name, change, interrupted, whole):
    path = interrupted / "seed-0" / name
    before = path.read_bytes()
    damage(path, CONTENTS[change])
    assert train(interrupted) == 4
    assert rows_of(interrupted) == whole
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_config_is_refused_and_force_begins_anew(interrupted, whole):
    with pytest.raises(UserError, match="another config"):
        train(interrupted, identity="other")
    assert steps(interrupted, 0) == [1, 2, 3, 4, 5]
    assert train(interrupted, force=True, identity="other") == 0
    assert rows_of(interrupted) == whole


def test_force_begins_anew_and_the_old_checkpoint_is_gone_at_once(interrupted, whole):
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, die_at=1, force=True)
    assert train(interrupted) == 0
    assert rows_of(interrupted) == whole


def test_rows_are_on_disk_before_the_checkpoint_that_relies_on_them(tmp_path, monkeypatch):
    synced = []

    def sync(number):
        synced.append(os.readlink(f"/proc/self/fd/{number}").removeprefix(f"{tmp_path}/"))

    monkeypatch.setattr(os, "fsync", sync)
    train(tmp_path)
    order = [name for name in synced if name.endswith(("metrics.jsonl", "checkpoint.pt.part"))]
    rows = ["seed-0/metrics.jsonl", "seed-1/metrics.jsonl"]
    assert order == ["checkpoint.pt.part", *3 * [*rows, "checkpoint.pt.part"], *rows]


def test_another_number_of_threads_is_said_once(interrupted, caplog):
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        train(interrupted)
    finally:
        torch.set_num_threads(threads)
    assert caplog.text.count("\n") == 1
    assert f"resumed with threads {threads + 1} (before: {threads})" in caplog.text


def test_a_summary_has_the_number_of_rows_and_the_digests_of_the_other_files(interrupted):
    train(interrupted)
    summary = json.loads((interrupted / "seed-0/summary.json").read_text())
    assert summary["rows"] == 6
    assert sorted(summary["sha256"]) == ["config.yaml", "meta.json", "metrics.jsonl"]
