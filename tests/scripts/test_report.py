"""The report: verdicts from committed evidence, and where the documents' numbers go."""

import copy
import json
from dataclasses import replace

import pytest

from bnrepro import ROOT
from bnrepro.config.claims import criteria, criterion_hash, read_claims
from bnrepro.errors import UserError
from bnrepro.evidence import load
from bnrepro.evidence.gather import common_criteria
from bnrepro.evidence.verdicts import judge
from bnrepro.plots.claims import as_json, report_text, worded
from scripts import report
from scripts.report import fill


def test_blocks_are_replaced_and_the_rest_stays():
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    once = fill(text, {"x": "new\nlines"})
    assert once == "a\n<!-- begin x -->\nnew\nlines\n<!-- end x -->\nb\n"
    assert fill(once, {"x": "new\nlines"}) == once


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- begin x -->\n",
        "<!-- begin x -->\n<!-- end x -->\n" * 2,
    ],
)
def test_a_block_without_exactly_one_place_is_an_error(text):
    with pytest.raises(UserError, match="exactly one pair"):
        fill(text, {"x": "new"})


def verdicts(claims, evidence):
    return [judge(claim, evidence, "paper") for claim in claims]


def test_an_added_claim_was_stated_after_the_runs_and_leaves_the_other_verdicts_as_they_are():
    claims, evidence = read_claims("mnist"), load("mnist", "paper")
    before = verdicts(claims, evidence)
    added = {**claims[0], "id": "added", "criterion": {**claims[0]["criterion"], "value": 0.5}}
    *after, late = verdicts([*claims, added], evidence)
    assert after == before
    assert all(v.fixed_before for v in before)
    assert not any("stated after" in worded(v) for v in before)
    assert not late.fixed_before
    assert worded(late).endswith(", stated after the runs")
    assert f"**{worded(late)}**" in report_text([*after, late])
    assert [as_json(v)["fixed_before"] for v in (after[0], late)] == [True, False]


def test_a_criterion_that_is_changed_after_the_runs_is_marked_alone():
    claims, evidence = read_claims("mnist"), load("mnist", "paper")
    before = verdicts(claims, evidence)
    changed = copy.deepcopy(claims)
    changed[1]["n"] = 3
    for i, (old, new) in enumerate(zip(before, verdicts(changed, evidence), strict=True)):
        assert new.fixed_before == (i != 1)
        assert (new.verdict, new.values) == (old.verdict, old.values)


def test_the_words_of_a_claim_may_change_without_its_hash():
    claim = read_claims("mnist")[0]
    assert criterion_hash({**claim, "claim": "other words", "not_shown": "more"}) == (
        criterion_hash(claim)
    )
    for key, value in (("metric", "other"), ("n", 9), ("arm", "bn_tuned"), ("new_key", 1)):
        assert criterion_hash({**claim, key: value}) != criterion_hash(claim), key


def test_a_claim_was_fixed_before_the_runs_only_if_every_run_s_record_has_its_hash(tmp_path):
    records = [{"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "other"}, {"a": "1", "b": "2"}]
    for i, hashes in enumerate(records):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "summary.json").write_text(json.dumps({"criteria": hashes}))
    folders = [tmp_path / str(i) for i in range(3)]
    assert common_criteria(folders) == [{"claim": "a", "hash": "1"}]
    assert common_criteria(folders[::2]) == [
        {"claim": "a", "hash": "1"},
        {"claim": "b", "hash": "2"},
    ]
    assert common_criteria([]) == []


def test_every_claim_has_another_hash():
    claims = read_claims("inception")
    hashes = criteria("inception")
    assert hashes == {claim["id"]: criterion_hash(claim) for claim in claims}
    assert len(set(hashes.values())) == len(claims)


def test_a_claim_without_evidence_is_not_run(monkeypatch):
    monkeypatch.setattr(report, "published", lambda stem: [])
    verdict = report.verdict_on(read_claims("mnist")[0])
    assert worded(verdict) == "not run"


def published(stem):
    return any((ROOT / "results" / stem).glob("*/table.md"))


def test_the_readme_s_tables_have_a_line_an_experiment():
    every = {stem: [report.verdict_on(c) for c in read_claims(stem)] for stem in ("mnist",)}
    (row,) = report.verdict_table(every).splitlines()[2:]
    cells = row.strip("| ").split(" | ")
    assert cells[:4] == ["4.1", "`mnist`", "paper", str(len(every["mnist"]))]
    assert sum(map(int, cells[4:8])) == len(every["mnist"])
    untested = replace(every["mnist"][0], verdict="not testable here")
    shown = report.verdict_table({"mnist": [untested, *every["mnist"][1:]]}).splitlines()
    assert " | not run | not testable here | which do not hold |" in shown[0]
    assert sum(map(int, shown[2].strip("| ").split(" | ")[4:9])) == len(every["mnist"])
    header, _, *rows = report.experiment_table().splitlines()
    assert header.strip("| ").split(" | ")[1:3] == ["question", "command"]
    commands = [
        f"`make {stem.replace('_', '-')}`" for stem in report.in_papers_order() if published(stem)
    ]
    assert [row.split(" | ")[2] for row in rows] == commands
