"""`experiments.ensemble`: its members' configs, its evidence from made-up probabilities, and end to
end at scale=smoke."""

import io
import itertools
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bnrepro.config import compose
from bnrepro.config.claims import metric, read_claims
from bnrepro.data import open_images, synthetic
from bnrepro.evidence.evidence import Evidence, read, write
from bnrepro.models.inception import InceptionModule
from bnrepro.norm import BatchNorm
from bnrepro.training.images import ImageTrainer, learning_rate
from experiments.ensemble.__main__ import main
from experiments.ensemble.gather import RULES, agreement, ensemble_errors, predict, single_errors
from experiments.ensemble.metrics import members, wrong
from experiments.ensemble.tables import gains
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


LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def made_up(seed: int, names: str = "abc") -> dict[str, dict[str, np.ndarray]]:
    """Probabilities of members at two counts of crops, the second ones better."""
    random = np.random.default_rng(seed)
    truth = np.eye(3)[LABELS]
    result = {}
    for name in names:
        noise = random.dirichlet(np.ones(3), (2, len(LABELS)))
        probabilities = np.stack([0.4 * truth + 0.6 * noise[0], 0.6 * truth + 0.4 * noise[1]])
        result[name] = {
            "counts": np.array([1, 144]), "distinct": np.array([1, 48]), "labels": LABELS,
            "probabilities": probabilities.astype(np.float32),
        }  # fmt: skip
    return result


def evidence_of_made_up(seeds: int = 2) -> Evidence:
    tables = {"runs": [], "errors": [], "pairs": []}
    for seed in range(seeds):
        views = made_up(seed, "abc")
        for variant in ("bn", *views):
            tables["runs"].append({"variant": variant, "seed": seed, "data": "made up", "lr": 0.1,
                                   "multiplier": 2, "final_test_accuracy_all": 0.5})  # fmt: skip
        single = made_up(seed + 100, "s")["s"]
        tables["errors"] += [{"seed": seed, **row} for row in single_errors(single)]
        tables["errors"] += [{"seed": seed, **row} for row in ensemble_errors(views)]
        tables["pairs"] += [{"seed": seed, **row} for row in agreement(views)]
    return Evidence(**tables)


def test_every_subset_of_the_members_is_evaluated_at_every_count():
    rows = list(ensemble_errors(made_up(0)))
    found = {(row["members"], row["crops"]) for row in rows if row["rule"] == RULES[0]}
    subsets = ["+".join(c) for n in (1, 2, 3) for c in itertools.combinations("abc", n)]
    assert found == set(itertools.product(subsets, (1, 144)))
    others = {(row["members"], row["rule"]) for row in rows if row["rule"] != RULES[0]}
    assert others == {("a+b+c", rule) for rule in RULES[1:]}


def test_an_ensemble_s_errors_are_those_of_the_mean_probabilities():
    views = made_up(1)
    (row,) = [r for r in ensemble_errors(views)
              if (r["members"], r["crops"], r["rule"]) == ("a+c", 1, RULES[0])]  # fmt: skip
    mean = (views["a"]["probabilities"][0] + views["c"]["probabilities"][0]) / 2
    bad = mean.argmax(1) != LABELS
    assert row["top_1_error"] == pytest.approx(bad.mean())
    assert wrong(row).tolist() == bad.astype(int).tolist()
    assert row["top_5_error"] == 0  # of three classes the right one is among the first five


def test_the_rules_differ_where_they_should():
    each = np.array([[[0.6, 0.4, 0.0]], [[0.6, 0.4, 0.0]], [[0.0, 0.9, 0.1]]])
    classes = {rule: int(predict(each, rule).argmax()) for rule in RULES}
    assert classes == {"arithmetic mean": 1, "geometric mean": 1, "vote": 0}
    tied = np.array([[[0.9, 0.1]], [[0.4, 0.6]]])
    assert predict(tied, "vote").argmax() == 0  # one voice each: the mean decides
    vetoed = np.array([[[0.98, 0.02]], [[0.0, 1.0]], [[0.9, 0.1]]])
    assert predict(vetoed, "arithmetic mean").argmax() == 0
    assert predict(vetoed, "geometric mean").argmax() == 1


def test_a_network_without_an_opinion_is_wrong_but_for_the_first_class():
    views = made_up(0, "a")
    views["a"]["probabilities"][:] = 1 / 3
    row = next(ensemble_errors(views))
    assert row["top_1_error"] == pytest.approx((LABELS != 0).mean())


def test_agreement_counts_equal_classes_and_equal_errors():
    views = made_up(3, "ab")
    row = next(agreement(views))
    a, b = (views[n]["probabilities"][0].argmax(1) for n in "ab")
    assert row["same_class"] == pytest.approx((a == b).mean())
    both = (a != LABELS) & (b != LABELS)
    assert row["both_wrong"] == pytest.approx(both.mean())
    assert row["same_wrong"] == pytest.approx((both & (a == b)).mean())


def test_metrics_are_differences_of_the_errors_seed_by_seed(tmp_path):
    evidence = evidence_of_made_up()
    write(evidence, tmp_path)
    assert read(tmp_path).errors == evidence.errors  # bits stay text
    assert members(evidence) == ["a", "b", "c"]
    values = {c["id"]: metric(c)(evidence, c) for c in read_claims("ensemble")}
    for seed in range(2):
        error = {
            (r["members"], r["crops"]): r["top_1_error"]
            for r in evidence.where("errors", seed=seed, rule=RULES[0])
        }
        each = [error[name, 144] for name in "abc"]
        all_three = error["a+b+c", 144]
        assert values["ensemble-crops"][seed] == error["bn", 1] - error["bn", 144]
        assert values["ensemble-members"][seed] == pytest.approx(sum(each) / 3 - all_three)
        assert values["ensemble-best-member"][seed] == min(each) - all_three
        assert values["ensemble-whole"][seed] == error["bn", 1] - all_three


def test_a_member_that_diverged_leaves_no_value_and_still_a_figure_and_tables():
    evidence = evidence_of_made_up()
    evidence.tables["errors"] = [
        row for row in evidence.errors if row["seed"] == 0 or "c" not in row["members"]
    ]
    claim = read_claims("ensemble")[1]
    first, second = metric(claim)(evidence, claim)
    assert first is not None
    assert second is None
    assert drawn("ensemble", evidence)["figure-4"].axes
    from experiments.ensemble.figures import answer, tables

    assert "diverged" in answer(evidence)
    assert len(tables(evidence)) == 5


def test_gains_are_paired_over_images_and_add_up():
    found = gains(evidence_of_made_up())
    crops = found["144 crops for one, of a member"]
    networks = found["all members for one, with 144 crops"]
    both = found["both: all members with 144 crops for one with one"]
    assert both.images == pytest.approx(crops.images + networks.images)
    assert both.images.mean() == pytest.approx(np.mean(both.seeds), abs=1e-5)
    interval = both.over_images
    assert interval.low <= interval.mean <= interval.high


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
