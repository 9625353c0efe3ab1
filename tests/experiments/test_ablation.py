"""`ablation`: each arm differs in one change, pairs share all else, and verdicts can fail."""

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bnrepro.config import compose
from bnrepro.config.claims import read_claims
from bnrepro.data import synthetic
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.verdicts import judge
from bnrepro.training.images import ImageTrainer, check_size
from experiments.ablation import figures, metrics, tables
from experiments.ablation.__main__ import main
from experiments.ablation.changes import CHANGES, pair_of
from tests.drawing import Arms, call, drawn, evidence_of, legend
from tests.test_config import differences

SMOKE = ["scale=smoke", "seeds=1"]
ARMS = Arms("ablation")
PAIRS = [pair for variant in ARMS if (pair := pair_of(variant))]
KEYS = {  # what each change is, and its value without and with it
    "rate": ("optim.multiplier", 1, 5),
    "dropout": ("model.dropout", 0.4, 0),
    "l2": ("optim.weight_decay_divisor", 1, 5),
    "decay": ("optim.decay", "plain", "fast"),
    "lrn": ("model.lrn", True, False),
    "shuffling": ("pictures.shuffle", "fixed", "shards"),
    "photometric": ("pictures.photometric", 0.4, 0.2),
}
CLAIMS = {claim["id"]: claim for claim in read_claims("ablation")}


def value(variant: str, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(ARMS[variant], section), name)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.arm}, {pair.against}")
def test_the_arms_of_a_pair_differ_in_one_change(pair):
    key, without, with_it = KEYS[pair.change]
    found = differences(asdict(ARMS[pair.arm]), asdict(ARMS[pair.against]))
    assert found - {"variant"} == {key}
    assert (value(pair.against, key), value(pair.arm, key)) == (without, with_it)


def test_every_change_is_undone_in_bn_x5_and_made_alone_in_bn_baseline():
    for network in ("bn_x5", "bn_baseline"):
        assert {pair.change for pair in PAIRS if pair.network == network} == set(CHANGES)
    assert {p.change for p in PAIRS if p.network == "inception"} == {"dropout", "lrn"}
    assert {p.change for p in PAIRS if p.few} == {"dropout", "l2", "shuffling"}
    assert len(ARMS) == len(PAIRS) + 6


def test_the_three_networks_are_those_of_figure_3_in_both_settings():
    few = {"pictures.examples", "pictures.shift", "pictures.mirror", "optim.lr", "optim.replicas",
           "budget.steps", "budget.fast", "eval.grid", "eval.train_examples"}  # fmt: skip
    setting = {"seeds", "without", "threads", "wandb.mode", "experiment", "optim.lr",
               "optim.replicas", "budget.steps", "budget.fast", "eval.grid",
               "eval.probe_grid"}  # fmt: skip
    for network in ("inception", "bn_baseline", "bn_x5"):
        one, other = asdict(ARMS[network]), asdict(ARMS[f"few_{network}"])
        assert differences(one, other) - {"variant"} == few
        named = asdict(compose("inception", [f"variant={network}"])) | {"own_rates": {}}
        assert differences(named, one) <= setting


def test_a_part_of_the_images_is_seen_thirty_times():
    cfg = ARMS["few_bn_x5"]
    assert cfg.pictures.examples == cfg.eval.train_examples == 5000
    assert cfg.budget.steps / (5000 // cfg.optim.batch) >= 30


def trainer(variant: str) -> ImageTrainer:
    cfg = compose("ablation", [*SMOKE, f"variant={variant}"])
    return ImageTrainer(cfg, 0, synthetic(200, 60), torch.device("cpu"))


@pytest.mark.parametrize("pair", PAIRS[::3], ids=lambda pair: pair.arm)
def test_a_pair_has_the_same_weights_and_the_same_mini_batches(pair):
    arm, against = trainer(pair.arm), trainer(pair.against)
    for one, other in zip(arm.network.parameters(), against.network.parameters(), strict=True):
        assert torch.equal(one, other)
    same = torch.equal(arm.source.order.batches(1), against.source.order.batches(1))
    assert same == (pair.change != "shuffling")


def companies(of: ImageTrainer, epoch: int) -> set[frozenset[int]]:
    return {frozenset(batch.tolist()) for batch in of.source.order.batches(epoch)}


def test_the_control_of_shuffling_has_its_examples_in_fixed_mini_batches():
    control, shuffled = trainer("few_bn_x5_undo_shuffling"), trainer("few_bn_x5")
    assert len(companies(control, 0)) == 3
    assert companies(control, 0) == companies(control, 1) == companies(control, 5)
    assert not companies(shuffled, 0) & companies(shuffled, 1)


def test_a_part_of_the_images_is_the_first_ones_and_no_other_is_ever_shown():
    few = trainer("few_bn_baseline")
    shown = torch.cat([few.source.order.batches(epoch).flatten() for epoch in range(5)])
    assert (int(shown.min()), int(shown.max())) == (0, 95)
    labels = torch.cat([few.source.batch(step)[1] for step in range(3)])
    assert labels.bincount(minlength=10).tolist() == (
        few.source.labels[:96].bincount(minlength=10).tolist()
    )


def test_training_accuracy_is_that_of_the_images_trained_on():
    few = trainer("few_bn_baseline")
    few.network.eval()
    with torch.no_grad():
        logits = few.network(2 * few.source.probe_images(96) - 1)
    right = (logits.argmax(1) == few.source.labels[:96]).float().mean()
    assert few.training_accuracy(96) == few.training_accuracy(500) == pytest.approx(float(right))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("pictures.examples=1201", "pictures.examples=1201: synthetic has 1200 training examples"),
        ("pictures.examples=31", "optim.batch=32, processes=1"),
        ("pictures.examples=0", "pictures.examples=0: must be greater than 0"),
    ],
)
def test_a_part_that_cannot_be_is_one_line(override, words, run, tmp_path, capsys):
    arguments = [*SMOKE, "variant=few_bn_x5", f"results={tmp_path}", override]
    assert run(main, arguments) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_part_of_a_streamed_set_is_refused():
    streamed: Any = SimpleNamespace(name="photos", train_labels=torch.zeros(99))
    with pytest.raises(UserError, match=r"pictures\.examples=96: photos is streamed"):
        check_size(compose("ablation", [*SMOKE, "variant=few_bn_x5"]), streamed)


def made_up(effect: float, gap: float = 0.06, seeds: int = 5, speed: float = 1.5) -> Evidence:
    """Evidence in which every change gains `effect` in accuracy and `speed` in steps."""
    evidence = Evidence(runs=[], curves=[], criteria=[])
    for variant in ARMS:
        changed = 0 if "do_" not in variant else -1 if "undo_" in variant else 1
        for seed in range(seeds):
            key = {"variant": variant, "seed": seed}
            best = 0.8 + 0.001 * seed * (1 + 0.1 * changed) + changed * effect
            run = {"best_test_accuracy": best, "final_test_accuracy_all": best - 0.01}
            run |= {"outcome": "trained", "data": "made up"}
            if variant.startswith("few_"):
                run["final_train_accuracy"] = best - 0.01 + gap
            evidence.runs.append(key | run)
            for step, share in ((400 / speed**changed, 0.97), (2000, 1)):
                row = {"step": step, "epoch": step / 100, "test_accuracy": share * best}
                evidence.curves.append(key | row)
    return evidence


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_holds_on_evidence_for_it_and_fails_on_evidence_against_it(name):
    claim = CLAIMS[name]
    wants_less = claim["criterion"]["op"] == "<"
    good, bad = made_up(0.01, speed=1.5), made_up(-0.01, speed=1 / 1.5)
    if wants_less:
        good, bad = bad, good
    assert judge(claim, good, "small").verdict == "holds"
    assert judge(claim, bad, "small").verdict == "fails"
    fewer = made_up(-0.01 if wants_less else 0.01, seeds=4)
    assert judge(claim, fewer, "small").verdict == "inconclusive"


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if "few_" in claim["arm"]])
def test_where_the_plain_network_does_not_overfit_nothing_is_tested(name):
    claim = CLAIMS[name]
    assert claim["provided"]["criterion"]["value"] == metrics.OVERFITS
    verdict = judge(claim, made_up(0.01, gap=0.01), "small")
    assert verdict.verdict == "not testable here"
    assert "train_test_gap of few_inception: 0.010, 0.010" in verdict.why
    one = made_up(0.01)
    one.where("runs", variant="few_inception", seed=3)[0]["final_train_accuracy"] = 0.8
    assert judge(claim, one, "small").verdict == "not testable here"
    without = made_up(0.01)
    without.tables["runs"] = [r for r in without.runs if r["variant"] != "few_inception"]
    assert judge(claim, without, "small").verdict == "not run"


def test_steps_are_counted_to_an_accuracy_that_both_arms_reach():
    evidence = made_up(-0.2, speed=3)  # with the change: faster, and far less accurate
    pair = pair_of("bn_baseline_do_rate")
    assert metrics.log_steps_ratio(evidence, pair._asdict()) == pytest.approx([1.0986123] * 5)
    evidence.tables["curves"] = [
        r for r in evidence.curves if r["seed"] or r["variant"] != pair.arm
    ]
    assert metrics.log_steps_ratio(evidence, pair._asdict())[0] is None


def test_the_figure_has_the_change_with_the_largest_effect_on_top():
    evidence = made_up(0.01)
    for row in evidence.where("curves", variant="bn_x5_undo_lrn"):
        row["step"] *= 1 if row["step"] == 2000 else 2
    figure = drawn("ablation", evidence)["effects"]
    names = {text.get_position()[1]: text.get_text() for text in figure.axes[0].get_yticklabels()}
    shown = [names[y] for y in sorted(names, reverse=True)]
    assert shown[:2] == ["all images, 20.0 passes", "(5) no LRN"]
    assert shown[6] == "a part of the images, 20.0 passes"
    assert len(shown) == 10
    assert len(legend(figure)) == 3
    untested = drawn("ablation", made_up(0.01, gap=0))["effects"]
    assert any("not testable here" in t.get_text() for t in untested.axes[0].get_yticklabels())


def test_a_seed_that_was_lost_is_marked_and_not_averaged():
    evidence = made_up(0.01)
    evidence.run("bn_x5_undo_rate", 2)["final_test_accuracy_all"] = None
    figure = drawn("ablation", evidence)["effects"]
    assert "undone in BN-x5: 1 of 5 diverged" in legend(figure)
    changes, _ = tables.tables(evidence)
    (row,) = [r for r in changes if r[:2] == ["(1) higher rate", "undone in BN-x5"]]
    assert row[6] == "1 of 5 diverged"
    assert "(1) higher rate 1.50 [1.50, 1.50]" in figures.answer(evidence)


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> list[str]:
    """The overrides of finished runs of two arms on a part of the images."""
    arguments = [*SMOKE, f"results={tmp_path_factory.mktemp('few')}"]
    for variant in ("few_bn_x5", "few_bn_x5_undo_l2"):
        call(main, [*arguments, f"variant={variant}"])
    return arguments


def test_runs_leave_the_accuracy_on_their_training_images(few):
    evidence = evidence_of("ablation", few)
    for run in evidence.runs:
        assert 0 <= run["final_train_accuracy"] <= 1
        assert run["steps"] == 8
    folder = Path(few[-1].removeprefix("results=")) / "ablation/smoke/few_bn_x5/seed-0"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["epoch"] == pytest.approx(8 * 32 / 96, abs=1e-4)


def test_some_arms_are_drawn_without_the_others(few):
    evidence = evidence_of("ablation", few)
    changes, arms = tables.tables(evidence)
    assert [row[0].split(",")[0] for row in changes[1:]] == ["(3) less L2"]
    assert len(arms) == 3
    assert "(3) less L2" in figures.answer(evidence)
    assert drawn("ablation", evidence)
    assert "Not compared" in figures.answer(Evidence(runs=[]))
    assert drawn("ablation", Evidence(runs=[]))
