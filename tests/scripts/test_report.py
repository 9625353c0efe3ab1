"""The report: verdicts from committed evidence, and where the documents' numbers go."""

import copy
import json
from dataclasses import replace

import pytest

from bnrepro.config.claims import criteria, criterion_hash, read_claims
from bnrepro.errors import UserError
from bnrepro.evidence import ledger as ledgers
from bnrepro.evidence import load
from bnrepro.evidence.evidence import Evidence, read, write
from bnrepro.evidence.gather import common_criteria
from bnrepro.evidence.ledger import Ledger, beyond, judged
from bnrepro.evidence.verdicts import judge
from bnrepro.plots.claims import WORDS, as_json, worded
from bnrepro.plots.report import claims_table
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


LATE = {"mnist-not-saturated"}  # stated after the runs that it is judged on: configs/CHANGES.md


def verdicts(claims, evidence):
    return [judge(claim, evidence, "paper") for claim in claims]


def test_an_added_claim_was_stated_after_the_runs_and_leaves_the_other_verdicts_as_they_are():
    claims, evidence = read_claims("mnist"), load("mnist", "paper")
    before = verdicts(claims, evidence)
    added = {**claims[0], "id": "added", "criterion": {**claims[0]["criterion"], "value": 0.5}}
    *after, late = verdicts([*claims, added], evidence)
    assert after == before
    assert {v.claim["id"] for v in before if not v.fixed_before} == LATE
    assert {v.claim["id"] for v in before if "stated after" in worded(v)} == LATE
    assert not late.fixed_before
    assert worded(late).endswith(", stated after the runs")
    assert f"**{worded(late)}**" in claims_table([*after, late])
    assert [as_json(v)["fixed_before"] for v in (after[0], late)] == [True, False]


def test_a_criterion_that_is_changed_after_the_runs_is_marked_alone():
    claims, evidence = read_claims("mnist"), load("mnist", "paper")
    before = verdicts(claims, evidence)
    changed = copy.deepcopy(claims)
    changed[1]["n"] = 3
    for i, (old, new) in enumerate(zip(before, verdicts(changed, evidence), strict=True)):
        assert old.fixed_before == (old.claim["id"] not in LATE)
        assert new.fixed_before == (old.fixed_before and i != 1)
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


def test_a_claim_without_evidence_is_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr(ledgers, "ROOT", tmp_path)
    (found,) = judged("mnist")
    assert (found.evidence, {worded(v) for v in found.verdicts}) == (None, {"not run"})


def cells_of(row):
    return row.strip("| ").split(" | ")


def test_the_readme_s_table_of_verdicts_has_a_line_a_section():
    (first,), (second,), (last,) = map(judged, ("transform", "whitening", "mnist"))
    found = Ledger([second, first, last], beyond())
    header, _, *rows = report.verdict_table(found).splitlines()
    assert cells_of(header)[3:-1] == [*WORDS]
    assert [cells_of(row)[0] for row in rows] == ["2", "3", "4.1"]
    for row, each in zip(rows, found.experiments, strict=True):
        verdicts = each.verdicts + (found.beyond if each is last else [])
        cells = cells_of(row)
        assert cells[1:3] == [f"`{each.experiment.stem}` {each.scale}", str(len(verdicts))]
        assert sum(map(int, cells[3:-1])) == len(verdicts)
        names = [v.claim["id"] for v in verdicts if v.verdict == "fails"]
        assert cells[-1] == (", ".join(f"`{name}`" for name in names) or "–")
    assert cells_of(rows[-1])[-1] == "`mnist-not-saturated`"


@pytest.mark.parametrize(("failing", "more"), [(3, ""), (4, " and 1 more"), (7, " and 4 more")])
def test_three_failing_claims_of_a_section_are_named_and_the_others_counted(failing, more):
    (found,) = judged("mnist")
    words = ["fails"] * failing + ["inconclusive"] * (len(found.verdicts) - failing)
    changed = [replace(v, verdict=w) for v, w in zip(found.verdicts, words, strict=True)]
    (row,) = report.verdict_table(Ledger([replace(found, verdicts=changed)], [])).splitlines()[2:]
    names = [f"`{v.claim['id']}`" for v in changed[:3]]
    assert cells_of(row)[-1] == ", ".join(names) + more


def test_parts_of_a_section_count_with_it():
    (found,) = judged("mnist")
    part = replace(found, experiment=replace(found.experiment, section="4.1.3"))
    (row,) = report.verdict_table(Ledger([found, part], [])).splitlines()[2:]
    assert cells_of(row)[0] == "4.1"
    assert cells_of(row)[2] == str(2 * len(found.verdicts))


def test_claims_that_name_a_scale_are_judged_there_alone(monkeypatch):
    claims = read_claims("mnist")
    claims[1] |= {"scale": "gpu"}
    monkeypatch.setattr(ledgers, "read_claims", lambda stem: claims)
    paper, gpu = judged("mnist")
    assert (paper.scale, gpu.scale, gpu.evidence) == ("paper", "gpu", None)
    assert [v.claim["id"] for v in gpu.verdicts] == [claims[1]["id"]]
    assert len(paper.verdicts) == len(claims) - 1
    (row,) = report.verdict_table(Ledger([paper, gpu], [])).splitlines()[2:]
    assert cells_of(row)[1:3] == ["`mnist` paper, `mnist` gpu (not run)", str(len(claims))]
    assert len(report.experiment_table(Ledger([paper, gpu], [])).splitlines()) == 3


def test_a_claim_goes_to_the_most_telling_scale_with_as_many_seeds_as_it_asks_for(
    monkeypatch, tmp_path
):
    evidence = load("mnist", "paper")
    for scale, seeds in (("paper", [0, 1]), ("small", [0, 1, 2, 3, 4])):
        runs = [run for run in evidence.runs if run["seed"] in seeds]
        folder = tmp_path / "results/mnist" / scale
        write(Evidence(**{**evidence.tables, "runs": runs}), folder)
        (folder / "table.md").touch()
    monkeypatch.setattr(ledgers, "ROOT", tmp_path)
    monkeypatch.setattr(
        ledgers, "load", lambda stem, scale: read(tmp_path / "results/mnist" / scale)
    )
    small, paper = judged("mnist")
    assert (small.scale, paper.scale) == ("small", "paper")
    assert {v.claim["id"] for v in small.verdicts} == {c["id"] for c in read_claims("mnist")}
    assert paper.evidence is not None
    assert paper.verdicts == []


def test_the_readme_s_table_of_experiments_has_those_with_evidence(monkeypatch, tmp_path):
    experiments = [*judged("mnist"), *judged("mnist_grid")]  # a search has no claims
    header, _, *rows = report.experiment_table(Ledger(experiments, [])).splitlines()
    assert cells_of(header)[1:3] == ["question", "command"]
    assert [cells_of(row)[2] for row in rows] == ["`make mnist`"]
    monkeypatch.setattr(ledgers, "ROOT", tmp_path)
    assert report.experiment_table(Ledger(judged("mnist"), [])).count("\n") == 2
