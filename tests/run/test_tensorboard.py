"""The mirror in TensorBoard's event files."""

import logging
import resource

import pytest

from bnrepro.config import compose
from bnrepro.config.identity import config_hash
from bnrepro.errors import UserError
from bnrepro.run import tensorboard
from bnrepro.run.mirror import NullSink, flatten, open_mirrors
from bnrepro.run.record import Record
from bnrepro.run.tensorboard import Both, TensorBoardSink, check_tensorboard
from experiments.mnist.measure import run

COUNTS = [0] * 30 + [3, 5] + [0] * 32
ROWS = [
    {"step": 5, "test_accuracy": 0.5, "train_loss": None, "grad_norm": {"hidden1": 0.25}},
    {"step": 10, "test_accuracy": 0.75, "histogram": {"hidden1": COUNTS}},
]
SMALL = ("scale=smoke", "variant=bn", "seeds=2", "duration.steps=40", "wandb.mode=disabled")


def events(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here"
    )
    found = accumulator.EventAccumulator(str(folder), purge_orphaned_data=True)
    found.Reload()
    return found


def scalars(folder, name):
    return [(event.step, event.value) for event in events(folder).Scalars(name)]


def fail(*_):
    raise OSError("no space left")


@pytest.fixture
def broken(monkeypatch):
    """A disk that takes no event files."""
    monkeypatch.setattr(tensorboard, "_writer", fail)
    tensorboard._warn.cache_clear()


def test_every_number_of_a_row_is_a_scalar_at_its_step(tmp_path):
    events(tmp_path)
    sink = TensorBoardSink(tmp_path)
    for row in ROWS:
        sink.log(flatten(row))
    assert scalars(tmp_path, "grad_norm/hidden1") == [(5, 0.25)]  # before the run has ended
    sink.finish({"status": "ok"})
    assert scalars(tmp_path, "accuracy/test") == [(5, 0.5), (10, 0.75)]
    assert "train_loss" not in events(tmp_path).Tags()["scalars"]


def test_counts_of_inputs_are_a_histogram(tmp_path):
    events(tmp_path)
    sink, row = TensorBoardSink(tmp_path), flatten(ROWS[1])
    sink.log(row)
    sink.finish({})
    (event,) = events(tmp_path).Histograms("inputs/hidden1")
    value = event.histogram_value
    assert (event.step, value.num) == (10, 8)
    filled = {limit for limit, n in zip(value.bucket_limit, value.bucket, strict=True) if n}
    _, edges = row["inputs/hidden1"]
    assert filled == {edges[31], edges[32]}  # the upper edges of bins 30 and 31


@pytest.mark.parametrize(
    ("resumed_at", "kept"), [(1, [(1, 1.0), (2, 20.0)]), (0, [(2, 20.0)])], ids=str
)
def test_a_run_that_goes_on_or_begins_anew_replaces_what_follows(tmp_path, resumed_at, kept):
    events(tmp_path)
    first = TensorBoardSink(tmp_path)
    for step in (1, 2, 3):
        first.log({"step": step, "loss": float(step)})
    first.finish({})
    second = TensorBoardSink(tmp_path, resumed_at)
    second.log({"step": 2, "loss": 20.0})
    second.finish({})
    assert scalars(tmp_path, "loss") == kept


def test_a_failure_is_said_once(tmp_path, broken, caplog):
    sinks = [TensorBoardSink(tmp_path) for _ in range(2)]
    with caplog.at_level(logging.WARNING):
        for sink in sinks:
            sink.log({"step": 1, "loss": 1.0})
            sink.log({"step": 2, "loss": 1.0})
            sink.finish({})
    assert [record.message for record in caplog.records] == [
        "TensorBoard is off; the run goes on (OSError: no space left)"
    ]


def test_a_full_disk_is_one_warning_and_no_traceback_of_the_writing_thread(tmp_path, caplog, capfd):
    events(tmp_path)
    tensorboard._warn.cache_clear()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = TensorBoardSink(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # bytes of a file
    try:
        for step in range(1, 200):
            sink.log({"step": step, "loss": 1.0})
        sink.finish({})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [record.message for record in caplog.records] == [
        "TensorBoard is off; the run goes on (OSError: [Errno 27] File too large)"
    ]
    assert capfd.readouterr().err == ""


def test_without_the_package_the_wish_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_tensorboard(False)
    with pytest.raises(UserError, match="pip install tensorboard"):
        check_tensorboard(True)
    with pytest.raises(UserError, match="pip install tensorboard"):
        run(compose("mnist", [*SMALL, "tensorboard=true"]))


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


# --- of a run -------------------------------------------------------------------------------------


def trained(results, *overrides):
    """Train two seeds; the folder of the first."""
    run(compose("mnist", [*SMALL, f"results={results}", *overrides]))
    return next(results.glob("mnist/smoke/bn-*/seed-0"))


def test_the_event_files_of_a_run_have_the_rows_of_its_record(tmp_path):
    events(tmp_path)
    folder = trained(tmp_path, "tensorboard=true")
    for run_folder in (folder, folder.with_name("seed-1")):
        rows = [(row["step"], row["test_accuracy"]) for row in Record(run_folder).rows()]
        found = scalars(run_folder, "accuracy/test")
        assert [step for step, _ in found] == [step for step, _ in rows]
        assert [value for _, value in found] == pytest.approx([value for _, value in rows])


def test_a_run_without_the_wish_and_a_second_process_write_none(tmp_path, monkeypatch):
    assert not list(trained(tmp_path).glob("events*"))
    monkeypatch.setenv("RANK", "1")
    cfg = compose("mnist", [*SMALL, "tensorboard=true"])
    assert {type(sink) for sink in open_mirrors(cfg, [0, 1], tmp_path)} == {NullSink}


def test_a_disk_that_takes_no_event_files_leaves_the_run_and_its_hash_as_they_are(
    tmp_path, broken, caplog
):
    plain, mirrored = trained(tmp_path / "a"), trained(tmp_path / "b", "tensorboard=true")
    accuracies = [[r["test_accuracy"] for r in Record(f).rows()] for f in (plain, mirrored)]
    assert accuracies[0] == accuracies[1]
    assert caplog.text.count("TensorBoard is off") == 1
    configs = [compose("mnist", [*SMALL, *more]) for more in ([], ["tensorboard=true"])]
    assert len({config_hash(cfg, "data") for cfg in configs}) == 1
