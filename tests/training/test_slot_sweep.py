"""Sweeps over slots: which networks a config asks for, and what each leaves at every stop."""

from dataclasses import fields, replace

import pytest
import torch

from bnrepro.config.rules import validate_fields
from bnrepro.config.schema import DataConfig, ModelConfig, OptimConfig
from bnrepro.config.slot_sweep import SLOT_AXES, SlotSweepConfig
from bnrepro.data import synthetic
from bnrepro.errors import UserError
from bnrepro.models.mlp import Slot
from bnrepro.models.transforms import BatchTransform
from bnrepro.training.slot_sweep import (
    Hooks,
    SweepCell,
    build,
    measure_cell,
    narrow,
    parts,
    sweep_cells,
)
from bnrepro.training.slots import SlotTrainer

DATA, CPU = synthetic(200, 80), torch.device("cpu")


def config(**changes: object) -> SlotSweepConfig:
    """Two rates of two arms for two seeds."""
    cfg = SlotSweepConfig(
        experiment="test", variant="sweep", scale="smoke", seeds=2, data=DataConfig("synthetic"),
        model=ModelConfig([8, 8], "relu", "none", "normal", 0.3, 1e-5, 0.1),
        optim=OptimConfig(0.1, 0.0, 20),
        sweep={"rates": {"arm": ["baseline", "bn"], "lr": [0.1, 0.5]}},
        stops=[0, 3, 6], probes=["units", "weights"], probe_examples=50, test_examples=40,
        slots=10,
    )  # fmt: skip
    return replace(cfg, **changes)


def rows_of(cfg: SlotSweepConfig, hooks: Hooks | None = None) -> list[dict]:
    """The rows of all cells without the clock."""
    rows = [
        row
        for cell in sweep_cells(cfg)
        for row in measure_cell(cfg, DATA, cell, CPU, hooks or Hooks())
    ]
    return [{k: v for k, v in row.items() if k != "wall_s"} for row in rows]


def test_every_combination_of_the_axes_trains_for_every_seed():
    axes = {"arm": ["bn", "baseline"], "hidden": [[4], [4, 4]], "lr": [1, 2], "init_std": [0.1]}
    cells = sweep_cells(config(sweep={"a": axes, "b": {"arm": ["bn"], "lr": [3.0]}}))
    assert [(c.block, c.shared) for c in cells] == [
        ("a", {"arm": "bn", "hidden": [4]}),
        ("a", {"arm": "bn", "hidden": [4, 4]}),
        ("a", {"arm": "baseline", "hidden": [4]}),
        ("a", {"arm": "baseline", "hidden": [4, 4]}),
        ("b", {"arm": "bn"}),
    ]
    expected = [Slot(seed, lr, 0.1) for lr in (1, 2) for seed in (0, 1)]
    assert all(list(cell.slots) == expected for cell in cells[:4])
    assert list(cells[4].slots) == [Slot(0, 3.0, 0.3), Slot(1, 3.0, 0.3)]


def test_a_block_may_have_stops_of_its_own():
    axes = {"arm": ["bn"], "lr": [0.1]}
    rows = rows_of(config(sweep={"a": axes, "b": {**axes, "stops": [0, 1]}}, seeds=1))
    steps = [(row["part"], row["step"]) for row in rows]
    assert steps == [("a", 0), ("a", 3), ("a", 6), ("b", 0), ("b", 1)]


def test_many_slots_are_shared_out_evenly():
    slots = [Slot(i, 0.1, 0.1) for i in range(11)]
    for most, sizes in ((11, [11]), (10, [6, 5]), (5, [4, 4, 3]), (1, [1] * 11)):
        found = parts(slots, most)
        assert [len(part) for part in found] == sizes
        assert [slot for part in found for slot in part] == slots


def test_a_row_a_network_and_stop_names_the_network():
    rows = rows_of(config(sweep={"rates": {"arm": ["bn"], "hidden": [[8, 6]], "lr": [0.1, 0.5]}}))
    assert [(r["step"], r["lr"], r["seed"]) for r in rows] == [
        (step, lr, seed) for step in (0, 3, 6) for lr in (0.1, 0.5) for seed in (0, 1)
    ]
    assert {(r["part"], r["arm"], r["depth"], r["width"]) for r in rows} == {("rates", "bn", 2, 8)}
    assert all((r["train_loss"] is None) == (r["step"] == 0) for r in rows)
    assert "hidden" not in rows[0]


def test_rows_are_what_the_trainer_says():
    cfg = config()
    (_, cell) = sweep_cells(cfg)
    trainer = build(cfg, DATA, cell, CPU, Hooks())
    losses = list(trainer.run([3, 6]))[-1]
    layers = trainer.net.freeze(trainer.x[:50])
    accuracy = trainer.accuracy("population")[0]
    last = [r for r in rows_of(cfg) if r["arm"] == "bn" and r["step"] == 6]
    for i, row in enumerate(last):
        assert row["train_loss"] == pytest.approx(float(losses[i]))
        assert row["test_accuracy"] == pytest.approx(float(accuracy[i]))
        dead = [float((layer.a[i] <= 0).all(0).float().mean()) for layer in layers]
        assert row["dead_worst"] == pytest.approx(max(dead))
        assert row["dead_mean"] == pytest.approx(sum(dead) / 2)
        norms = [trainer.net.params[f"{n}.weight"][i].square().sum(0).mean() for n in
                 ("hidden1", "hidden2")]  # fmt: skip
        expected = row["lr"] / float(norms[0] * norms[1]) ** 0.5
        assert row["effective_step"] == pytest.approx(expected, rel=1e-5)
    assert {len(t) for t in (trainer.test_x, trainer.test_labels)} == {40}


def test_a_network_that_diverges_keeps_its_rows():
    axes = {"arm": ["baseline"], "lr": [0.1, 1e38]}
    together, alone = (
        rows_of(config(sweep={"rates": axes | {"lr": rates}}, stops=[2, 4, 8]))
        for rates in ([0.1, 1e38], [1e38])
    )
    assert [row["step"] for row in alone] == [2, 2, 4, 4, 8, 8]
    lost = [row for row in together if row["lr"] == 1e38]
    assert [row["outcome"] for row in lost[-2:]] == ["non-finite"] * 2
    assert all(1 < row["first_non_finite"] <= 8 for row in lost[-2:])
    assert lost[-1]["test_accuracy"] is None
    assert [row["first_non_finite"] for row in alone] == [row["first_non_finite"] for row in lost]
    assert all(r["first_non_finite"] is None for r in together if r["lr"] == 0.1)


def test_the_outcome_is_judged_by_the_accuracy_at_the_stop():
    rows = rows_of(config(stops=[0, 100], test_examples=None))
    for row in rows:
        trained = row["test_accuracy"] > row["chance"]
        assert row["outcome"] == ("trained" if trained else "collapsed")
    assert {row["outcome"] for row in rows} == {"trained", "collapsed"}


def no_norm(cfg: SlotSweepConfig, cell: SweepCell) -> BatchTransform | None:
    return BatchTransform(1.0) if cell.shared["arm"] == "mine" else None


def zero_output(trainer: SlotTrainer, cell: SweepCell) -> None:
    trainer.net.params["output.weight"].zero_()


def test_an_experiment_adds_transforms_starts_and_probes():
    hooks = Hooks(no_norm, zero_output, {"mine": lambda t, _: {"own": t.lr[:, 0, 0]}})
    (cell,) = sweep_cells(config(sweep={"rates": {"arm": ["mine"], "lr": [0.1]}}))
    trainer = build(config(), DATA, cell, CPU, hooks)
    assert trainer.net.transform.eps == 1.0
    axes = {"arm": ["bn"], "lr": [0.25]}
    rows = rows_of(config(sweep={"rates": axes}, stops=[0], probes=["mine"]), hooks)
    assert [(row["own"], row["test_loss"]) for row in rows] == [(0.25, pytest.approx(2.302585))] * 2


def test_networks_may_share_settings_of_the_model_the_optimiser_and_the_data():
    shared = {"activation": ["sigmoid"], "batch": [10], "train_images": [30]}
    cfg = config(sweep={"rates": {"arm": ["bn"], **shared, "lr": [0.1]}})
    (cell,) = sweep_cells(cfg)
    trainer = build(cfg, DATA, cell, CPU, Hooks())
    assert (trainer.net.sigmoid, trainer.optim.batch, len(trainer.x)) == (True, 10, 30)
    part = narrow(DATA, None, None)
    assert (len(part.train_images), len(part.test_images)) == (200, 80)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sweep": {}}, r"sweep=\{\}: name at least one block"),
        ({"sweep": {"a": None}}, r"sweep\.a=None: give its axes"),
        ({"sweep": {"a": {"arm": ["bn"]}}}, r"sweep\.a\.lr: give its values"),
        *(
            ({"sweep": {"a": {"arm": ["bn"], "lr": [1], **axes}}}, r"sweep\.a\." + words)
            for axes, words in [
                ({"lrr": [1]}, r"lrr: no such axis.*lr,"),
                ({"lr": 1}, r"lr=1: name at least one value, in a list"),
                ({"lr": []}, r"lr=\[\]: name at least one value"),
                ({"lr": [-1]}, r"lr=-1: must not be negative"),
                ({"lr": ["x"]}, r"lr=x: must be a number"),
                ({"lr": [True]}, r"lr=True: must be a number"),
                ({"lr": [1, 1]}, r"lr=\[1, 1\]: names 1 twice"),
                ({"dropout": [1.0]}, r"dropout=1.0: must lie between 0 and 1, 1 excluded"),
                ({"arm": ["bnn"]}, r"arm=bnn: allowed are baseline"),
                ({"arm": [["bn"]]}, r"arm=\['bn'\]: must be a name"),
                ({"hidden": [8]}, r"hidden=8: must be a list, each of it a whole number"),
                ({"hidden": [[8, 0]]}, r"hidden=\[8, 0\]: each must be greater than 0"),
                ({"hidden": [[8.5]]}, r"hidden=\[8.5\]: must be a list, each of it a whole"),
                ({"batch": [2.5]}, r"batch=2.5: must be a whole number"),
                ({"train_images": [-5]}, r"train_images=-5: must be greater than 0"),
                ({"train_images": ["x"]}, r"train_images=x: must be a whole number"),
                ({"stops": [2, 1]}, r"stops=\[2, 1\]: must rise"),
                ({"stops": 3}, r"stops=3: name at least one value"),
                ({"stops": [1.5]}, r"stops=\[1.5\]: must be a list, each of it a whole number"),
            ]
        ),
        ({"probes": ["unit"]}, r"probes=unit: allowed are units, weights"),
        ({"stops": [5, 1]}, r"stops=.*must rise"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_axis(changes, words):
    with pytest.raises(UserError, match=words):
        validate_fields(config(**changes))


def test_the_axes_of_slots_are_the_settings_of_a_slot():
    assert ("seed", *SLOT_AXES) == tuple(f.name for f in fields(Slot))
    validate_fields(config())
