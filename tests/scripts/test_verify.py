"""`make verify`: what counts as reproduced."""

from pathlib import Path

import pytest

from bnrepro.errors import UserError
from bnrepro.evidence.statistics import Interval
from bnrepro.evidence.verdicts import Verdict
from bnrepro.run.record import read_summary
from experiments.mnist.__main__ import main as train
from experiments.scale_invariance.__main__ import main as measure
from scripts import verify
from tests.drawing import evidence_of
from tests.run.damage import resummarised


@pytest.mark.parametrize(
    ("committed", "here", "expected"),
    [
        (0.97, 0.972, ["0.9700", "0.9720", "+0.0020", "yes"]),
        (0.97, 0.98, ["0.9700", "0.9800", "+0.0100", "NO"]),
        (0.97, 0.96, ["0.9700", "0.9600", "-0.0100", "NO"]),
        (None, 0.98, ["diverged", "0.9800", "–", "NO"]),
        (None, None, ["diverged", "diverged", "–", "yes"]),
    ],
)
def test_a_run_is_reproduced_within_the_tolerance_and_a_diverged_one_by_divergence(
    committed, here, expected
):
    assert verify.compare(committed, here, 0.005) == expected


def test_verify_compares_with_the_committed_values(run, tmp_path, monkeypatch, capsys):
    for variant in ("baseline", "bn"):
        smoke = ["scale=smoke", "wandb.mode=disabled", f"variant={variant}"]
        assert run(train, [*smoke, f"results={tmp_path}"]) == 0
    arguments = ["scale=smoke", f"results={tmp_path}"]
    evidence = evidence_of("mnist", arguments)
    monkeypatch.setattr(verify, "read", lambda _: evidence)
    assert run(verify.main, ["mnist", *arguments]) == 0
    folder = tmp_path / "mnist/smoke/bn/seed-1"
    final = read_summary(folder)["final"]
    resummarised(folder, final=final | {"test_accuracy": final["test_accuracy"] + 0.1})
    with pytest.raises(UserError, match=r"1 of 4 runs differ by more than 0\.005"):
        run(verify.main, ["mnist", *arguments])
    assert "NO" in capsys.readouterr().out
    del evidence.runs[-1]
    with pytest.raises(UserError, match="bn seed 1: no committed value"):
        run(verify.main, ["mnist", *arguments])


def test_verify_judges_a_sweep_by_its_claims(run, tmp_path, monkeypatch, capsys):
    arguments = ["scale=smoke", f"results={tmp_path}"]
    assert run(measure, arguments) == 0
    evidence = evidence_of("scale_invariance", arguments)
    monkeypatch.setattr(verify, "read", lambda _: evidence)
    assert run(verify.main, ["scale_invariance", *arguments]) == 0
    for row in evidence.where("exact", eps=0):
        row["jacobian_error"] = 0.1
    with pytest.raises(UserError, match="1 of 6 claims differ"):
        run(verify.main, ["scale_invariance", *arguments])
    assert "NO" in capsys.readouterr().out
    evidence.runs[0]["config_hash"] = "another"
    with pytest.raises(UserError, match="another config or data set"):
        run(verify.main, ["scale_invariance", *arguments])


def test_without_a_run_or_without_evidence_there_is_nothing_to_verify(run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no published evidence"):
        run(verify.main, ["mnist", "scale=smoke", f"results={tmp_path}"])
    monkeypatch.setattr(verify, "ROOT", Path(__file__).parent)
    monkeypatch.setattr(verify, "read", lambda _: None)
    with pytest.raises(UserError, match="no finished run under"):
        run(verify.main, ["mnist", "scale=smoke", f"results={tmp_path}"])


@pytest.mark.parametrize(
    ("word", "low", "high", "agrees"),
    [("holds", 5, 6, True), ("fails", 1.5, 3, True), ("fails", 2.5, 3, False)],
)
def test_a_claim_is_reproduced_by_its_verdict_or_its_interval(word, low, high, agrees):
    published = Verdict({}, "small", "holds", [], Interval(1.5, 1, 2, 5))
    here = Verdict({}, "small", word, [], Interval((low + high) / 2, low, high, 5))
    assert verify.agree(published, here) == agrees
    assert verify.agree(here, published) == agrees


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
    here = Verdict(claim, "small", "inconclusive", values, None)
    assert verify.agree(published, here) == agrees
    assert verify.agree(here, published) == agrees
