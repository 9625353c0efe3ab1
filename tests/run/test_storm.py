"""Runs that are killed at random end as undisturbed ones do."""

import random
import re

import pytest
import torch

from tests import storm


@pytest.mark.thorough
def test_a_short_storm_leaves_no_mismatch(run, capfd):
    assert run(storm.main, ["--kills", "4", "--seed", "3"]) == 0
    *cases, total = capfd.readouterr().out.splitlines()
    assert [re.sub(r"\d+ kills", "n kills", case) for case in cases] == [
        f"{name}: n kills, 0 mismatches" for name in storm.CASES
    ]
    assert total == "4 kills, 0 mismatches"


def test_what_differs_is_a_mismatch_and_status_1(run, tmp_path, monkeypatch, capsys):
    states = iter([{"rows": [1, 2]}, {"rows": [1]}])
    outcomes = iter([storm.Outcome(False, 9), storm.Outcome(True, 4), storm.Outcome(False, 9)])
    monkeypatch.setattr(storm, "CASES", {"mnist": storm.CASES["mnist"]})
    monkeypatch.setattr(storm, "left", lambda results: next(states))
    monkeypatch.setattr(storm, "attempt", lambda *_: next(outcomes))
    assert run(storm.main, ["--kills", "1"]) == 1
    assert capsys.readouterr().out.endswith("rows differ\nmnist: 1 kills, 1 mismatches\n"
                                            "1 kills, 1 mismatches\n")  # fmt: skip


def test_a_state_is_compared_bit_by_bit_and_times_are_not():
    one, other = ({"x": torch.tensor([0.0]), "wall_s": t} for t in (1, 2))
    assert storm.plain(one) == storm.plain(other)
    assert storm.plain(one) != storm.plain({"x": torch.tensor([-0.0])})
    assert storm.plain(one) != storm.plain({"x": torch.tensor([0.0], dtype=torch.float64)})


def test_an_attempt_that_fails_by_itself_is_an_error(tmp_path):
    case = storm.Case("mnist", ("optim.batch=0",), 1)
    with pytest.raises(storm.UserError, match=r"failed by itself:[\s\S]*optim\.batch"):
        storm.attempt(case, tmp_path / "results", storm.Fuse(), random.Random(0))
