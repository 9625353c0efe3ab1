"""The mirror in TensorBoard's event files."""

import logging

import pytest

from bnrepro.errors import UserError
from bnrepro.run import tensorboard
from bnrepro.run.mirror import flatten
from bnrepro.run.tensorboard import Both, check_tensorboard, open_tensorboard

COUNTS = [0] * 30 + [3, 5] + [0] * 32
ROWS = [
    {"step": 5, "test_accuracy": 0.5, "train_loss": None, "grad_norm": {"hidden1": 0.25}},
    {"step": 10, "test_accuracy": 0.75, "histogram": {"hidden1": COUNTS}},
]


def events(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here"
    )
    found = accumulator.EventAccumulator(str(folder), purge_orphaned_data=True)
    found.Reload()
    return found


def scalars(folder, name):
    return [(event.step, event.value) for event in events(folder).Scalars(name)]


def test_every_number_of_a_row_is_a_scalar_at_its_step(tmp_path):
    events(tmp_path)
    sink = open_tensorboard(tmp_path)
    for row in ROWS:
        sink.log(flatten(row))
    assert scalars(tmp_path, "grad_norm/hidden1") == [(5, 0.25)]  # before the run has ended
    sink.finish({"status": "ok"})
    accuracy = next(name for name in events(tmp_path).Tags()["scalars"] if "accuracy" in name)
    assert scalars(tmp_path, accuracy) == [(5, 0.5), (10, 0.75)]
    assert "train_loss" not in events(tmp_path).Tags()["scalars"]


def test_counts_of_inputs_are_a_histogram(tmp_path):
    events(tmp_path)
    sink, row = open_tensorboard(tmp_path), flatten(ROWS[1])
    sink.log(row)
    sink.finish({})
    (event,) = events(tmp_path).Histograms("inputs/hidden1")
    value = event.histogram_value
    assert (event.step, value.num) == (10, 8)
    filled = {limit for limit, n in zip(value.bucket_limit, value.bucket, strict=True) if n}
    _, edges = row["inputs/hidden1"]
    assert filled == {edges[31], edges[32]}  # the upper edges of bins 30 and 31


def test_a_resumed_run_replaces_what_follows_its_checkpoint(tmp_path):
    events(tmp_path)
    first = open_tensorboard(tmp_path)
    for step in (1, 2, 3):
        first.log({"step": step, "loss": float(step)})
    first.finish({})
    second = open_tensorboard(tmp_path, resumed_at=1)
    second.log({"step": 2, "loss": 20.0})
    second.finish({})
    assert scalars(tmp_path, "loss") == [(1, 1.0), (2, 20.0)]


def test_a_failure_is_said_once_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(tensorboard, "_writer", fail)
    tensorboard._warn.cache_clear()
    sinks = [open_tensorboard(tmp_path) for _ in range(2)]
    with caplog.at_level(logging.WARNING):
        for sink in sinks:
            sink.log({"step": 1, "loss": 1.0})
            sink.log({"step": 2, "loss": 1.0})
            sink.finish({})
    assert [record.message for record in caplog.records] == [
        "TensorBoard is off; the run goes on (OSError: no space left)"
    ]


def test_without_the_package_the_wish_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        check_tensorboard()


def test_two_sinks_get_the_same(tmp_path):
    class Kept:
        def __init__(self):
            self.rows = []

        def log(self, row):
            self.rows.append(row)

        def finish(self, summary):
            self.rows.append(summary)

    kept = [Kept(), Kept()]
    both = Both(*kept)
    both.log({"step": 1})
    both.finish({"status": "ok"})
    assert kept[0].rows == kept[1].rows == [{"step": 1}, {"status": "ok"}]
