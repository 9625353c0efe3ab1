"""The loop: data order, independence of slots, divergence, resuming, grids of steps."""

import pytest
import torch

from bnrepro.config import compose
from bnrepro.config.schema import steps_of_grid
from bnrepro.data import synthetic
from bnrepro.errors import UserError
from bnrepro.models.mlp import Slot
from bnrepro.models.transforms import BatchTransform, Transform
from bnrepro.seeding import stream
from bnrepro.training.slots import SlotTrainer

DATA = synthetic(200, 80)
CPU = torch.device("cpu")


def trainer(slots, *overrides, transform: Transform | None = None) -> SlotTrainer:
    cfg = compose("mnist", ["optim.batch=20", *overrides])
    cfg.model.hidden = [16, 12]
    return SlotTrainer(cfg.model, cfg.optim, slots, DATA, CPU, transform)


def train(t: SlotTrainer, steps: int) -> torch.Tensor:
    return torch.stack(list(t.run(range(1, steps + 1))))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_slot_does_not_depend_on_its_neighbours(norm):
    slots = [Slot(0, 0.5, 0.2), Slot(3, 0.5, 0.2), Slot(3, 0.1, 0.4)]
    together = train(trainer(slots, f"model.norm={norm}"), 25)
    for i, slot in enumerate(slots):
        alone = train(trainer([slot], f"model.norm={norm}"), 25)
        torch.testing.assert_close(together[:, i], alone[:, 0], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_curve_bitwise():
    slots = [Slot(0, 0.5, 0.2), Slot(1, 0.5, 0.2)]
    assert torch.equal(train(trainer(slots), 12), train(trainer(slots), 12))


def test_data_order_depends_on_the_seed_alone():
    a, b = trainer([Slot(5, 0.1, 0.2)]), trainer([Slot(5, 9.0, 0.7)], "model.norm=batch")
    c = trainer([Slot(6, 0.1, 0.2)])
    for step in (0, 3, 17):
        assert torch.equal(a._batch(step), b._batch(step))
        assert not torch.equal(a._batch(step), c._batch(step))


def test_an_epoch_shows_every_example_once():
    t = trainer([Slot(5, 0.1, 0.2)])
    seen = torch.cat([t._batch(step) for step in range(10)])
    assert seen.sort().values.tolist() == list(range(200))
    assert not torch.equal(t._batch(0), t._batch(10))


def test_a_diverging_slot_is_marked_at_its_step_and_its_neighbour_goes_on():
    slots = [Slot(0, 0.1, 0.2), Slot(0, 1e38, 0.2)]
    pair, alone = (
        trainer(slots, "model.activation=relu"),
        trainer(slots[:1], "model.activation=relu"),
    )
    losses = torch.stack(list(pair.run(range(1, 11))))
    calm = torch.stack(list(alone.run(range(1, 11))))
    bad = pair.first_non_finite[1]
    assert bad is not None
    assert losses[: bad - 1, 1].isfinite().all()
    assert not losses[bad - 1, 1].isfinite()
    assert pair.active == [0]
    torch.testing.assert_close(losses[:, 0], calm[:, 0], rtol=1e-5, atol=1e-6)


def test_training_ends_when_every_slot_has_diverged():
    t = trainer([Slot(0, 1e38, 0.2)], "model.activation=relu")
    assert len(list(t.run(range(5, 500, 5)))) < 10
    assert t.step < 50


@pytest.mark.parametrize("place", ["preactivation", "input", "after"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_restored_trainer_goes_on_bitwise(momentum, place):
    option, transform = f"optim.momentum={momentum}", BatchTransform(1e-5, place=place)
    slots = [Slot(0, 0.3, 0.2), Slot(1, 0.3, 0.2, weight_decay=0.01, dropout=0.3)]
    whole = train(trainer(slots, option, transform=transform), 16)
    first = trainer(slots, option, transform=transform)
    list(first.run([7]))
    second = trainer(slots, option, transform=transform)
    second.load_state_dict(first.state_dict())
    rest = torch.stack(list(second.run(range(8, 17))))
    assert torch.equal(whole[7:], rest)


def test_a_transform_takes_the_place_of_the_models_normalisation():
    slots = [Slot(0, 0.3, 0.2), Slot(1, 0.3, 0.2)]
    by_config = train(trainer(slots, "model.norm=batch"), 6)
    given = train(trainer(slots, "model.norm=none", transform=BatchTransform(1e-5)), 6)
    assert torch.equal(by_config, given)
    plain = train(trainer(slots, "model.norm=none"), 6)
    assert torch.equal(train(trainer(slots, "model.norm=batch", transform=Transform()), 6), plain)
    after = train(trainer(slots, transform=BatchTransform(1e-5, place="after")), 6)
    assert not torch.equal(after, given)
    assert not torch.equal(after, plain)


def test_population_statistics_are_those_of_what_is_normalised():
    t = trainer([Slot(0, 0.3, 0.2)], transform=BatchTransform(1e-5, place="after"))
    train(t, 4)
    t.estimate_population()
    p = t.net.params
    batches = t.x[torch.randperm(len(t.x), generator=stream(0, "population"))].split(20)
    assert not torch.equal(batches[0], t.x[:20])  # not the data's own order
    y = [torch.sigmoid(x @ p["hidden1.weight"][0] + p["hidden1.bias"][0]) for x in batches]
    mean = torch.stack([v.mean(0) for v in y]).mean(0)
    var = torch.stack([v.var(0, correction=1) for v in y]).mean(0)
    torch.testing.assert_close(t.net.population["hidden1.mean"][0, 0], mean)
    torch.testing.assert_close(t.net.population["hidden1.var"][0, 0], var)
    plain = trainer([Slot(0, 0.3, 0.2)], "model.norm=none")
    plain.estimate_population()
    assert plain.net.population == {}


def test_weight_decay_shrinks_the_weights_of_its_slot_alone():
    slots = [Slot(0, 0.3, 0.2), Slot(0, 0.3, 0.2, weight_decay=0.01)]
    t, alone = trainer(slots), trainer(slots[:1])
    before = {k: v.clone() for k, v in t.net.params.items()}
    train(t, 1)
    train(alone, 1)
    for name, value in t.net.params.items():
        decayed = 0.3 * 0.01 * before[name][1] if name.endswith(".weight") else 0
        torch.testing.assert_close(value[1], value[0] - decayed)
        torch.testing.assert_close(value[0], alone.net.params[name][0])


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_dropout_draws_its_masks_by_seed_and_step(norm):
    slots = [Slot(0, 0.3, 0.2, dropout=p) for p in (0.0, 0.4, 0.4)] + [Slot(1, 0.3, 0.2)]
    t = trainer(slots, f"model.norm={norm}")
    for width, mask in zip((16, 12), t._masks(), strict=True):
        assert mask.shape == (4, 20, width)
        assert mask[[0, 3]].eq(1).all()
        assert torch.equal(mask[1], mask[2])
        assert mask[1].unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert (torch.cat(t._masks(), -1)[1] == 0).float().mean().item() == pytest.approx(0.4, abs=0.1)
    first = t._masks()[0]
    plain = train(trainer([slots[0]], f"model.norm={norm}"), 8)
    losses = train(t, 8)
    assert not torch.equal(t._masks()[0], first)
    torch.testing.assert_close(losses[:, 0], plain[:, 0], rtol=1e-4, atol=1e-5)
    assert torch.equal(losses[:, 1], losses[:, 2])
    assert not torch.equal(losses[:, 1], losses[:, 0])


def test_momentum_acts():
    slots = [Slot(0, 0.3, 0.2)]
    assert not torch.equal(train(trainer(slots), 6), train(trainer(slots, "optim.momentum=0.9"), 6))


def test_measuring_accuracy_changes_nothing():
    slots = [Slot(0, 0.3, 0.2)]
    plain, watched = (trainer(slots, "model.norm=batch") for _ in range(2))
    expected = train(plain, 10)
    seen = []
    for loss in watched.run(range(1, 11)):
        watched.accuracy("moving")
        watched.estimate_population()
        seen.append(loss)
    assert torch.equal(expected, torch.stack(seen))


def test_training_images_are_evaluated_as_test_images_are():
    t = trainer([Slot(0, 0.3, 0.2), Slot(1, 0.3, 0.2)], "model.norm=batch")
    train(t, 10)
    accuracy, loss = t.evaluate(t.x, t.labels, "moving")
    logits = t.net.forward(t.x, "moving")[0]
    for i in range(2):
        torch.testing.assert_close(accuracy[i], (logits[i].argmax(-1) == t.labels).float().mean())
        torch.testing.assert_close(loss[i], torch.nn.functional.cross_entropy(logits[i], t.labels))
    assert torch.equal(t.evaluate(t.test_x, t.test_labels, "moving")[0], t.accuracy("moving")[0])


def test_a_batch_larger_than_the_data_set_is_an_error():
    with pytest.raises(UserError, match=r"optim\.batch=300.*only 200"):
        trainer([Slot(0, 0.1, 0.1)], "optim.batch=300")


@pytest.mark.parametrize(
    ("grid", "last", "expected"),
    [
        ([[100, 50]], 180, [50, 100, 150, 180]),
        ([[10, 5], [30, 10]], 30, [5, 10, 20, 30]),
        ([[10, 5], [30, 10]], 8, [5, 8]),
        ([[10, 5], [30, 10]], 45, [5, 10, 20, 30, 40, 45]),
    ],
)
def test_steps_of_grid(grid, last, expected):
    assert steps_of_grid(grid, last) == expected
