"""Networks that overfit: what is trained, the gap, the noise of batch-mates, and the metrics."""

import math

import pytest
import torch
from torch.nn import functional as F

from bnrepro.config import compose
from bnrepro.config.compose import validate
from bnrepro.data import open_dataset
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.training.slot_sweep import build, sweep_cells
from experiments.regularization import metrics, tables
from experiments.regularization.measure import FITTED, HOOKS, gap, mates

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cfg():
    return compose("regularization", ["scale=smoke"])


@pytest.fixture(scope="module")
def data(cfg):
    return open_dataset(cfg.data)


def cells(cfg, block, **shared):
    found = [cell for cell in sweep_cells(cfg) if cell.block == block]
    return [cell for cell in found if shared.items() <= cell.shared.items()]


def trained(cfg, data, cell, steps=6):
    trainer = build(cfg, data, cell, CPU, HOOKS)
    list(trainer.run([steps]))
    trainer.net.freeze(trainer.x[: cfg.probe_examples])
    return trainer


def test_every_arm_meets_the_same_dropout_and_l2_and_bn_both_rates():
    cfg = compose("regularization", ["scale=small"])
    blocks = {"dropout": {}, "l2": {}}
    for cell in sweep_cells(cfg):
        for slot in cell.slots:
            block = blocks.get(cell.block.removesuffix("_tuned"))
            if block is not None:
                key = (slot.seed, slot.dropout, slot.weight_decay, cell.shared["train_images"])
                block.setdefault((cell.shared["arm"], slot.lr), set()).add(key)
    (plain, same, tuned) = blocks["dropout"]
    assert (plain[0], same[0], tuned[0]) == ("baseline", "bn", "bn_tuned")
    assert plain[1] == same[1] != tuned[1]
    for block in blocks.values():
        assert len({frozenset(keys) for keys in block.values()}) == 1
        assert len(block) == 3


def test_arms_have_bn_where_they_say_so_and_groups_where_the_cell_has_them(cfg, data):
    for arm, block, group in (("baseline", "dropout", None), ("bn", "dropout", None)):
        net = build(cfg, data, cells(cfg, block, arm=arm)[0], CPU, HOOKS).net
        assert ("hidden1.gamma" in net.params) == (arm == "bn")
        assert getattr(net.transform, "group", None) == group
    tuned = build(cfg, data, cells(cfg, "dropout_tuned")[0], CPU, HOOKS).net
    assert "hidden1.gamma" in tuned.params
    (grouped,) = cells(cfg, "groups", group=8)
    assert build(cfg, data, grouped, CPU, HOOKS).net.transform.group == 8


def test_the_gap_is_measured_on_training_images_as_at_test_time(cfg, data):
    trainer = trained(cfg, data, cells(cfg, "dropout", arm="bn", train_images=100)[0])
    columns = gap(trainer, [])
    logits = trainer.net.forward(trainer.x, "population")[0]
    assert logits.shape[1] == 100 < FITTED
    for i in range(len(trainer.slots)):
        accuracy = (logits[i].argmax(-1) == trainer.labels).float().mean()
        assert float(columns["fitted_accuracy"][i]) == pytest.approx(float(accuracy))
        loss = F.cross_entropy(logits[i], trainer.labels)
        assert float(columns["fitted_loss"][i]) == pytest.approx(float(loss), rel=1e-4)


def test_noise_falls_with_m_and_vanishes_when_all_images_are_normalised_together(cfg, data):
    noise = {}
    for group in (8, 32, 128):
        trainer = trained(cfg, data, cells(cfg, "groups", group=group)[0])
        noise[group] = mates(trainer, [])["noise"]
    assert (noise[8] > 1.5 * noise[32]).all()
    assert (noise[32] > 0.01).all()
    assert (noise[128] < 1e-5).all()


def test_noise_is_blind_to_a_common_shift_and_to_the_scale_of_the_logits(cfg, data):
    trainer = trained(cfg, data, cells(cfg, "groups", group=8)[0])
    before = mates(trainer, [])["noise"]
    trainer.net.params["output.bias"] += 5
    trainer.net.params["output.weight"] *= 3
    torch.testing.assert_close(mates(trainer, [])["noise"], before, rtol=1e-3, atol=0)


def test_networks_without_groups_have_no_noise_of_batch_mates(cfg, data):
    assert mates(trained(cfg, data, cells(cfg, "plain")[0]), []) == {}


def test_networks_whose_update_takes_all_images_train_for_fewer_steps(cfg):
    steps = {block: set(cells(cfg, block)[0].stops) for block in ("dropout", "groups", "plain")}
    assert steps == {"dropout": {10, 30}, "groups": {10}, "plain": {10}}


@pytest.mark.parametrize(
    ("group", "problem"), [(1, "a mini-batch of one"), (24, "must divide the batch of 128")]
)
def test_groups_have_to_divide_the_mini_batch(group, problem):
    message = rf"sweep\.groups\.group={group}: {problem}"
    with pytest.raises(UserError, match=message):
        validate(compose("regularization", ["scale=smoke", f"sweep.groups.group=[{group}]"]))


def row(arm, dropout, test, fitted=1.0, seed=0, **more):
    return {
        "arm": arm, "train_images": 500, "dropout": dropout, "seed": seed, "step": 9,
        "test_accuracy": test, "fitted_accuracy": fitted, **more,
    }  # fmt: skip


def made_up() -> Evidence:
    """Two seeds: Dropout helps the plain network up to 0.3, BN up to 0.1; groups of 2, 4 and 8."""
    plain = [row("baseline", p, a, seed=s) for s, d in enumerate((0.0, 0.01)) for p, a in
             ((0.0, 0.70 + d), (0.1, 0.72 + d), (0.3, 0.75 + d))]  # fmt: skip
    bn = [row("bn_tuned", p, a, seed=s) for s in range(2) for p, a in
          ((0.0, 0.77), (0.1, 0.78), (0.3, 0.71))]  # fmt: skip
    l2 = [row("baseline", 0.0, 0.99, weight_decay=0.1)]
    sizes = [(2, 0.9), (4, 0.8), (8, 0.7)]
    groups = [row("bn", 0.0, accuracy, group=m, noise=1 / m) for m, accuracy in sizes]
    early = [{**plain[0], "step": 1, "test_accuracy": 1.0}]
    return Evidence(dropout=[*early, *plain], dropout_tuned=bn, l2=l2, groups=groups)


CLAIM = {"arm": "bn_tuned", "against": "baseline", "images": 500}


def test_the_best_dropout_rate_is_compared_seed_by_seed():
    assert metrics.dropout_shift(made_up(), CLAIM) == pytest.approx([-0.2, -0.2])


def test_bn_without_dropout_is_compared_with_the_plain_network_at_its_best_dropout():
    found = metrics.gain_without_dropout(made_up(), CLAIM)
    assert found == pytest.approx([0.77 - 0.75, 0.77 - 0.76])


def test_the_gap_is_compared_without_dropout_and_l2():
    assert metrics.gap_change(made_up(), CLAIM) == pytest.approx([-0.07, -0.06])


def test_slopes_are_those_of_straight_lines():
    evidence = made_up()
    assert metrics.noise_slope(evidence, {}) == pytest.approx([-1.0])
    assert metrics.gap_slope(evidence, {}) == pytest.approx([0.1 / math.log(2)])
    assert metrics.gap_of_noise(evidence, {"group": 2}) == pytest.approx([-0.2])


def test_a_network_that_diverged_leaves_no_value():
    evidence = made_up()
    evidence.groups[0]["test_accuracy"] = None
    assert metrics.gap_slope(evidence, {}) == [None]
    assert metrics.gap_of_noise(evidence, {"group": 2}) == [None]
    assert [tables.gap_text(metrics.group_rows(evidence, m)) for m in (2, 4)] == ["–", "20.0"]


def test_the_answer_has_the_gap_without_bn():
    said = tables.answer(load("regularization", "small"))
    assert said.endswith("(m = 512) it is 24.1; without BN it is 18.8, less than at any m.")


def test_the_gap_is_called_least_without_bn_only_where_it_is():
    evidence = made_up()
    for test, expected in ((0.95, True), (0.85, False), (None, False)):
        evidence.tables["plain"] = [row("baseline", 0.0, test)]
        assert tables.least_without_bn(evidence) is expected
