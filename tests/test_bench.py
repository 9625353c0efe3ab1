"""`make bench`: equal contestants, the arithmetic from their times, its record and what it says."""

import json
from collections.abc import Callable, Sequence

import pytest
import torch
from torch.testing import assert_close

from bnrepro.config import compose
from bnrepro.data import synthetic
from bnrepro.errors import UserError
from bnrepro.models.inception import Inception
from bnrepro.models.inception_init import initialise
from bnrepro.plots.bench import growth_figure, sentence, sentences, tables
from bnrepro.training.images import network_spec
from scripts import bench, bench_inception, bench_slots, plan
from tests.drawing import line, more

SECONDS = (0.4, 0.3, 0.2, 0.1)  # what the contestants take, made up
CPU = torch.device("cpu")


def made_up_times(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Every contestant once, and made-up medians."""
    for run in runs:
        run()
    return list(SECONDS[: len(runs)])


@pytest.fixture
def two_steps(monkeypatch):
    """MNIST contestants that train two steps, and made-up times."""
    monkeypatch.setattr(bench_slots, "steps", lambda slots, device: 2 if slots > 1 else 4)
    monkeypatch.setattr(bench_slots, "medians", made_up_times)


def test_the_time_of_many_slots_counts_for_one_seed_and_step(two_steps):
    cfg = compose("mnist", ["variant=bn", "data=synthetic"])
    here, products = bench_slots.slot_point(cfg, synthetic(200, 60), 5, CPU)
    assert (here["us"], products["us"]) == (0.4e6 / 2 / 5, 0.3e6 / 2 / 5)
    assert (here["arm"], here["slots"], here["trainer"]) == ("bn", 5, "here")


@pytest.mark.parametrize("arm", ["baseline", "bn"])
def test_the_usual_loop_trains_one_network(two_steps, arm):
    cfg = compose("mnist", [f"variant={arm}", "data=synthetic"])
    rows = bench_slots.eager_point(cfg, synthetic(200, 60), CPU)
    expected = [("eager", 0.4e6 / 2), ("eager, batches ready", 0.3e6 / 2)]
    assert [(row["trainer"], row["us"]) for row in rows] == expected


@pytest.mark.thorough
def test_what_bn_adds_is_measured_against_width_and_against_mini_batch(two_steps, monkeypatch):
    monkeypatch.setattr(bench_slots, "WIDTHS", (5, 100))
    monkeypatch.setattr(bench_slots, "BATCHES", (15, 60))
    rows = list(bench_slots.bn_rows(CPU, None))
    assert [(row["width"], row["batch"]) for row in rows] == [(5, 60), (100, 60), (100, 15)]
    assert rows[0]["without"] / rows[0]["with"] == pytest.approx(SECONDS[0] / SECONDS[1], rel=1e-3)


def test_a_python_without_jax_is_left_out_with_a_line(capsys):
    assert list(bench_slots.jax_rows("false", CPU)) == []
    assert capsys.readouterr().out.startswith("JAX left out: ")


@pytest.mark.parametrize("scale", ["small", *more("gpu")])
def test_the_inception_step_s_measures_follow_from_the_times(scale, monkeypatch):
    monkeypatch.setattr(bench_inception, "STEPS", {"cpu": 1})
    monkeypatch.setattr(bench_inception, "SIDE", {"cpu": 64})
    monkeypatch.setattr(bench_inception, "IMAGES", 64)
    monkeypatch.setattr(bench_inception, "medians", made_up_times)
    bench_inception.ceiling.cache_clear()
    arm = ["variant=bn_x5", "model.width=0.1", "cuda_graphs=false"]
    cfg = compose("inception", [*arm, f"scale={scale}"])
    eager, ready, here = bench_inception.measure(cfg, CPU)
    bench_inception.ceiling.cache_clear()  # of made-up times
    assert [row["ms"] for row in (eager, ready, here)] == [400, 300, 200]
    assert here["images_s"] == 32 / 0.2
    share = plan.flops(cfg) / SECONDS[2] / (4 * 2 * 64**3 / SECONDS[0])
    assert here["share"] == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize("variant", ["inception", "bn_x5"])
def test_the_network_as_figure_5_draws_it_is_the_same_function(variant):
    cfg = compose("inception", ["scale=small", f"variant={variant}", "model.width=0.1"])
    ours, drawn = (Inception(network_spec(cfg, 10, 1, 28)) for _ in range(2))
    for network in (ours, drawn):
        initialise(network, 0)
    drawn = bench_inception.as_drawn(drawn)
    x = torch.randn(4, 1, 28, 28)
    for network in (ours, drawn):
        network.eval()
    assert_close(drawn(x), ours(x), rtol=1e-4, atol=1e-5)


def test_an_unknown_part_or_setting_is_named_with_those_that_exist():
    assert bench.asked(["slots", "into=x"]) == (["slots"], {"into": "x"})
    assert bench.asked([])[0] == list(bench.PARTS)
    for words in (["slotz"], ["to=x"]):
        with pytest.raises(UserError, match=r"^(slotz|to): no part of .*slots, .*into=…"):
            bench.asked(words)


def test_the_record_says_what_it_was_measured_on(tmp_path, monkeypatch):
    record = measured(tmp_path, monkeypatch, "bn", width=3)
    assert record["rows"] == [{"part": "bn", "width": 3}]
    assert {"versions", "flags", "threads", "hardware"} <= set(record["meta"])
    assert set(record["meta"]["parts"]["bn"]) == {"commit", "dirty", "seconds"}


def test_a_part_measured_again_replaces_its_own_rows_alone(tmp_path, monkeypatch):
    measured(tmp_path, monkeypatch, "bn", width=3)
    measured(tmp_path, monkeypatch, "slots", slots=5)
    record = measured(tmp_path, monkeypatch, "bn", width=4)
    assert record["rows"] == [{"part": "slots", "slots": 5}, {"part": "bn", "width": 4}]
    assert set(record["meta"]["parts"]) == {"bn", "slots"}


def test_other_software_begins_a_new_record(tmp_path, monkeypatch):
    measured(tmp_path, monkeypatch, "bn", width=3)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text("utf-8").replace('"torch": "', '"torch": "0.'), "utf-8")
    record = measured(tmp_path, monkeypatch, "slots", slots=5)
    assert record["rows"] == [{"part": "slots", "slots": 5}]


def measured(folder, monkeypatch, part: str, **row: int) -> dict:
    """The record after a bench of one part that has one row."""
    monkeypatch.setattr(bench, "PARTS", {part: lambda device, jax: iter([row])})
    monkeypatch.setattr(bench, "present", lambda path, record: None)
    monkeypatch.setattr("sys.argv", ["bench", f"into={folder}"])
    bench.main()
    (path,) = folder.iterdir()
    record = json.loads(path.read_text("utf-8"))
    assert path.stem == bench.slug(record["meta"]["hardware"])
    return record


def made_up_record() -> dict:
    """A record of a machine on which the slots take 100 µs, with BN 200."""
    rows = []
    for arm, us in (("baseline", 100), ("bn", 200)):
        key = {"part": "slots", "arm": arm}
        rows += [{**key, "slots": n, "trainer": "here", "us": us, "mb": 300} for n in (1, 5)]
        rows += [{**key, "slots": 1, "trainer": "eager", "us": 800}]
        rows += [{**key, "slots": 5, "trainer": "JAX", "us": 150}]
    rows += [
        {"part": "bn", "width": w, "batch": 60, "without": 100, "with": 130} for w in (50, 100)
    ]
    rows += [{"part": "bn", "width": 100, "batch": 30, "without": 100, "with": 150}]
    key = {"part": "inception", "arm": "bn_x5", "width": 0.25}
    rows += [{**key, "trainer": "here", "images_s": 1000, "share": 0.25}]
    rows += [{**key, "trainer": "eager", "images_s": 500}]
    for arm, one, two in (("baseline", 100, 50), ("bn", 300, 200), ("bn_x5", 1000, 800)):
        key = {"part": "processes", "arm": arm}
        rows += [{**key, "processes": 1, "us": one}, {**key, "processes": 2, "us": two}]
    return {"meta": {"hardware": "Machine, 2 cores"}, "rows": rows}


def test_the_sentence_compares_with_every_peer_that_was_measured(tmp_path):
    record = made_up_record()
    (tmp_path / "machine.json").write_text(json.dumps(record), "utf-8")
    assert sentences(tmp_path) == (
        "- Machine, 2 cores: 5 MNIST networks train 8 (with BN 4) times as fast as a plain "
        "PyTorch loop, 1.5 (with BN 0.75) times as fast as the same in JAX, two arms at once, as "
        "in `make mnist`, 3 (with BN 0.75) times as fast as one in JAX; BN-x5 at 0.25 of the width "
        "trains on 1,000 images a second, 2.0 times as many as a plain loop, at 25% of the speed "
        "of a large matrix product; two arms at once are done 1.5 (Inception: 1.2) times as soon "
        "as in turn."
    )
    record["rows"] = [row for row in record["rows"] if row.get("trainer") != "JAX"]
    assert "JAX" not in sentence(record)
    assert sentence({**record, "rows": []}) == ""


def test_the_figure_and_the_tables_show_what_was_measured():
    record = made_up_record()
    slots, bn, inception = growth_figure(record).axes
    assert line(slots, "here, with BN") == ([1, 5], [200, 200])
    assert line(slots, "JAX, without BN") == ([5], [150])
    assert line(bn, "width of the layers (60 examples)") == ([50, 100], [1.3, 1.3])
    assert line(bn, "examples (width 100)") == ([30, 60], [1.5, 1.3])
    assert line(inception, "here, BN-x5") == ([0.25], [1000])
    assert [len(rows) for rows in tables(record).values()] == [9, 4, 3, 7]


def test_a_record_of_one_part_draws_the_others_empty():
    record = made_up_record()
    record["rows"] = [row for row in record["rows"] if row["part"] == "bn"]
    assert len(growth_figure(record).axes) == 3
    assert list(tables(record)) == ["MNIST training step, 5 slots: µs a seed-step"]
