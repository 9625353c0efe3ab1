"""`experiments.ensemble`: its members' configs, and end to end at scale=smoke."""

import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bnrepro.config import compose
from bnrepro.data import open_images, synthetic
from bnrepro.models.inception import InceptionModule
from bnrepro.norm import BatchNorm
from bnrepro.training.images import ImageTrainer, learning_rate
from experiments.ensemble.__main__ import main
from experiments.ensemble.metrics import members
from tests.drawing import Arms, call, drawn, evidence_of, legend
from tests.experiments.killed import rows_without_time, run_and_die
from tests.test_config import differences

SMOKE = ["scale=smoke", "wandb.mode=disabled"]
CHANGES = {  # beside `draws`
    "weights": {"model.init_gain"},
    "dropout_5": {"model.dropout"},
    "dropout_10": {"model.dropout"},
    "activation": {"model.per_activation"},
    "weights_dropout_5": {"model.init_gain", "model.dropout"},
    "activation_dropout_10": {"model.per_activation", "model.dropout"},
}
ARMS = Arms("ensemble")


def test_there_are_six_members_and_the_single_network():
    assert {*ARMS} == {"bn", *CHANGES}
    assert len({cfg.draws for cfg in ARMS.values()}) == 7


@pytest.mark.parametrize("variant", CHANGES)
def test_a_member_differs_from_the_single_network_as_its_name_says(variant):
    arms = (asdict(ARMS["bn"]), asdict(ARMS[variant]))
    assert differences(*arms) - {"variant"} == {"draws", *CHANGES[variant]}
    expected = {5: 0.05, 10: 0.1}.get(int(variant.rpartition("_")[2] or 0)
                                      if "dropout" in variant else 0, 0)  # fmt: skip
    assert ARMS[variant].model.dropout == expected


def test_the_single_network_is_bn_x30_and_at_small_takes_the_rate_that_was_searched_for():
    paper = [compose(e, ["scale=paper", f"variant={v}"]) for e, v in
             (("ensemble", "bn"), ("inception", "bn_x30"))]  # fmt: skip
    for section in ("model", "optim", "budget", "pictures"):
        assert asdict(getattr(paper[0], section)) == asdict(getattr(paper[1], section))
    small, other = ARMS["bn"], compose("inception", ["variant=bn_x30"])
    assert differences(asdict(small.optim), asdict(other.optim)) == {"multiplier"}
    searched = read_multiples()
    assert small.optim.multiplier == max(searched, key=lambda value: searched[value])
    assert learning_rate(small, 0) == pytest.approx(2 * other.optim.lr)


def read_multiples() -> dict[float, float]:
    """Last validation accuracy by multiple, of the committed search."""
    from bnrepro.evidence import load

    cells = load("inception_grid", "small").where("cells", variant="multiplier")
    return {cell["value"]: cell["final_test_accuracy_all"] for cell in cells}


def smoke_trainer(variant: str) -> ImageTrainer:
    cfg = compose("ensemble", ["scale=smoke", f"variant={variant}"])
    return ImageTrainer(cfg, 0, synthetic(200, 60), torch.device("cpu"))


def test_members_share_neither_initial_weights_nor_order():
    one, other, again = (smoke_trainer(v) for v in ("dropout_5", "dropout_10", "dropout_5"))
    weights = [t.network.classifier.weight for t in (one, other, again)]
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])
    labels = [t.source.batch(0)[1] for t in (one, other, again)]
    assert torch.equal(labels[0], labels[2])
    assert not torch.equal(labels[0], labels[1])


def test_larger_initial_weights_are_the_convolutions_alone():
    large = smoke_trainer("weights").network
    cfg = compose("ensemble", ["scale=smoke", "variant=weights", "model.init_gain=1"])
    plain = ImageTrainer(cfg, 0, synthetic(200, 60), torch.device("cpu")).network
    for one, other in zip(large.modules(), plain.modules(), strict=True):
        if isinstance(one, nn.Conv2d | nn.Linear):
            gain = 2 if isinstance(one, nn.Conv2d) else 1
            torch.testing.assert_close(one.weight, gain * other.weight)


def test_bn_per_activation_is_in_5a_and_5b_alone_and_has_no_l2():
    trainer = smoke_trainer("activation")
    for name, block in trainer.network.blocks.items():
        norms = [m for m in block.modules() if isinstance(m, BatchNorm)]
        shapes = {type(m.num_features) for m in norms}
        assert shapes <= ({tuple} if name in ("5a", "5b") else {int}), name
        if name in ("5a", "5b"):
            assert isinstance(block, InceptionModule)
            assert {m.num_features[1:] for m in norms} == {(4, 4)}
    weights, others = trainer.optimiser.param_groups
    assert others["weight_decay"] == 0
    assert {p.dim() for p in weights["params"]} == {2, 4}
    assert {p.dim() for p in others["params"]} == {1, 3}
    assert len(weights["params"]) + len(others["params"]) == len(trainer.parameters)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> list[str]:
    """The overrides of a finished single network and two members."""
    arguments = [*SMOKE, f"results={tmp_path_factory.mktemp('three')}"]
    for variant in ("bn", "dropout_10", "activation"):
        call(main, [*arguments, f"variant={variant}"])
    return arguments


def test_end_to_end_from_the_runs_to_the_figure(three):
    evidence = evidence_of("ensemble", three)
    assert members(evidence) == ["activation", "dropout_10"]
    subsets = {row["members"] for row in evidence.errors}
    assert subsets == {"bn", "activation", "dropout_10", "activation+dropout_10"}
    assert {row["images"] for row in evidence.errors} == {24}
    assert {row["crops"]: row["distinct"] for row in evidence.errors}[144] == 48
    by_members, by_crops, _ = drawn("ensemble", evidence)["figure-4"].axes
    assert legend(by_members) == ["one crop", "144 crops"]
    assert legend(by_crops) == ["single network", "a member, mean (thin: each)", "ensemble"]


def test_the_single_crop_is_what_the_network_is_evaluated_on_elsewhere(three):
    folder = Path(three[-1].removeprefix("results="), "ensemble/smoke/bn/seed-0")
    with np.load(folder / "views.npz") as views:
        single, *_, square, whole = views["probabilities"]
        accuracy = (single.argmax(1) == views["labels"]).mean()
    cfg = compose("ensemble", [*three, "variant=bn"])
    trainer = ImageTrainer(cfg, 0, open_images(cfg.data), torch.device("cpu"))
    trainer.load_state_dict(torch.load(folder.parent / "checkpoint-seed-0.pt", weights_only=True))
    assert float(trainer.evaluate(24)[0]) == pytest.approx(accuracy)
    np.testing.assert_allclose(square, whole, atol=1e-6)  # of square images 48 views are all
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)


@pytest.mark.thorough
def test_a_damaged_file_of_probabilities_is_made_again(run, tmp_path):
    arguments = [*SMOKE, "variant=weights", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    (path,) = tmp_path.rglob("views.npz")
    whole = path.read_bytes()
    assert "views.npz" in json.loads((path.parent / "summary.json").read_text())["sha256"]
    path.write_bytes(whole[:-10])
    assert evidence_of("ensemble", arguments).runs == []
    assert run(main, arguments) == 0
    first, second = (dict(np.load(io.BytesIO(b))) for b in (whole, path.read_bytes()))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.thorough
def test_a_run_killed_before_its_summary_ends_with_the_same_curve_and_probabilities(run, tmp_path):
    whole, resumed = ([*SMOKE, "variant=dropout_5", f"results={tmp_path / n}"] for n in "ab")
    assert run(main, whole) == 0
    run_and_die("ensemble", "summary", 1, resumed)
    assert run(main, resumed) == 0
    one, other = (tmp_path / n / "ensemble/smoke/dropout_5/seed-0" for n in "ab")
    assert rows_without_time(one) == rows_without_time(other)
    assert (one / "views.npz").read_bytes() == (other / "views.npz").read_bytes()
