"""Publishing and documents: what may become evidence, and where its numbers go."""

import json

import pytest

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.grid_evidence import GridEvidence
from bnrepro.evidence.statistics import Interval
from bnrepro.evidence.verdicts import Verdict
from bnrepro.plots.tables import markdown
from experiments.mnist import report as mnist
from experiments.mnist.__main__ import main as train
from experiments.mnist.tables import lines, summarise
from experiments.scale_invariance import report as scale_invariance
from experiments.scale_invariance.__main__ import main as measure
from scripts import publish, verify
from scripts.readme import fill

GOOD = {"variant": "bn", "seed": 0, "commit": "abc", "dirty": False, "config_hash": "h",
        "data": "mnist"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dirty": True}, "uncommitted"),
        ({"commit": None}, "uncommitted"),
        ({"config_hash": "other"}, "another config"),
        ({"data": "mnist-5k"}, "mnist-5k, not mnist"),
    ],
)
def test_only_clean_named_runs_become_evidence(change, words):
    cfgs = {"bn": compose("mnist", ["variant=bn"])}
    publish.check(GOOD, {"bn": "h"}, cfgs)
    with pytest.raises(UserError, match=words):
        publish.check(GOOD | change, {"bn": "h"}, cfgs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist", "scale=smoke"], "never published"),
        (["mnist", "optim.lr=3"], "takes scale, .* only"),
    ],
)
def test_smoke_and_overridden_runs_are_never_published(arguments, words, run):
    with pytest.raises(UserError, match=words):
        run(publish.main, arguments)


def test_evidence_lacks_what_was_not_run():
    evidence = Evidence([{"variant": "bn", "seed": 0}, {"variant": "baseline", "seed": 1}])
    assert publish.lacking(evidence, ["bn"], [0]) == []
    assert publish.lacking(evidence, ["bn", "baseline"], [0, 1]) == ["bn seed 1", "baseline seed 0"]
    assert publish.lacking(GridEvidence([{"variant": "bn"}]), ["bn", "x"], [0]) == ["x"]


def test_a_diverged_run_is_reproduced_by_a_diverged_one():
    assert verify.compare(0.97, 0.972) == ["0.9700", "0.9720", "+0.0020", "yes"]
    assert verify.compare(0.97, 0.98)[-1] == "NO"
    assert verify.compare(None, 0.98)[-1] == "NO"
    assert verify.compare(None, None)[-1] == "yes"


def test_blocks_are_replaced_and_the_rest_stays():
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    once = fill(text, {"x": "new\nlines"})
    assert once == "a\n<!-- begin x -->\nnew\nlines\n<!-- end x -->\nb\n"
    assert fill(once, {"x": "new\nlines"}) == once


def test_a_block_without_a_place_is_an_error():
    with pytest.raises(UserError, match="exactly one pair"):
        fill("nothing", {"x": "new"})


def test_a_missing_seed_is_never_averaged_away():
    steps = next(line for line in lines() if line.label == "steps to 95%")
    assert summarise(steps, [100.0, 300.0]).startswith("200 [")
    assert summarise(steps, [100.0, None]) == "reached by 1 of 2"
    assert summarise(steps, [None, None]) == "never"


def test_markdown_is_a_table():
    assert markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"


def test_verify_compares_with_the_committed_values(run, tmp_path, monkeypatch, capsys):

    for variant in ("baseline", "bn"):
        smoke = ["scale=smoke", "wandb.mode=disabled", f"variant={variant}"]
        run(train, [*smoke, f"results={tmp_path}"])
    folder = tmp_path / "mnist/smoke"
    evidence = mnist.gather({v: folder / v for v in ("baseline", "bn")})
    monkeypatch.setattr(mnist, "read", lambda _: evidence)
    arguments = ["mnist", "scale=smoke", f"results={tmp_path}"]
    assert run(verify.main, arguments) == 0
    path = folder / "bn/seed-1/summary.json"
    summary = json.loads(path.read_text())
    summary["final"]["test_accuracy"] += 0.1
    path.write_text(json.dumps(summary))
    with pytest.raises(UserError, match="1 of 4 runs differ"):
        run(verify.main, arguments)
    assert "NO" in capsys.readouterr().out


def test_verify_judges_a_sweep_by_its_claims(run, tmp_path, monkeypatch, capsys):
    arguments = ["scale=smoke", f"results={tmp_path}"]
    assert run(measure, arguments) == 0
    evidence = scale_invariance.gather({"sweep": tmp_path / "scale_invariance/smoke/sweep"})
    assert evidence.provenance["cpu_s"] > 0
    monkeypatch.setattr(scale_invariance, "read", lambda _: evidence)
    assert run(verify.main, ["scale_invariance", *arguments]) == 0
    for row in evidence.rows:
        if row["part"] == "exact" and row["eps"] == 0:
            row["jacobian_error"] = 0.1
    with pytest.raises(UserError, match="1 of 6 claims differ"):
        run(verify.main, ["scale_invariance", *arguments])
    assert "NO" in capsys.readouterr().out
    evidence.provenance["config_hash"] = "another"
    with pytest.raises(UserError, match="another config or data set"):
        run(verify.main, ["scale_invariance", *arguments])


@pytest.mark.parametrize(
    ("word", "low", "high", "agrees"),
    [("holds", 5, 6, True), ("fails", 1.5, 3, True), ("fails", 2.5, 3, False)],
)
def test_a_claim_is_reproduced_by_its_verdict_or_its_interval(word, low, high, agrees):
    published = Verdict({}, "small", "holds", [], Interval(1.5, 1, 2, 5))
    own = Verdict({}, "small", word, [], Interval((low + high) / 2, low, high, 5))
    assert verify.agree(published, own) == agrees
    assert verify.agree(own, published) == agrees


@pytest.mark.parametrize(
    ("over", "values", "agrees"),
    [
        ("interval", [0.4, None], True),
        ("interval", [-0.4, None], False),
        ("interval", [None, None], False),
        ("every", [0.4, None], False),
    ],
)
def test_censored_seeds_leave_the_direction_of_a_statistical_claim(over, values, agrees):
    claim = {"criterion": {"over": over, "op": ">", "value": 0}}
    published = Verdict(claim, "small", "holds", [0.2, 0.3], Interval(0.25, 0.1, 0.4, 5))
    own = Verdict(claim, "small", "inconclusive", values, None)
    assert verify.agree(published, own) == agrees
    assert verify.agree(own, published) == agrees
