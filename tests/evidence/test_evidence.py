"""Evidence: its tables, what is asked of them, and their files."""

import copy
import pickle

import pytest

from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, all_seeds, read, unique, write
from bnrepro.evidence.gather import merged


def made_up() -> Evidence:
    runs = [
        {"variant": variant, "seed": seed, "data": "mnist", "final_test_accuracy": 0.5 + seed / 10}
        for variant in ("bn", "baseline")
        for seed in (2, 0)
    ]
    curves = [
        {"variant": "bn", "seed": 0, "step": step, "wall_s": step / 4, "test_accuracy": accuracy}
        for step, accuracy in ((10, 0.25), (20, None), (30, 0.75))
    ]
    return Evidence(runs=runs, curves=curves)


def test_tables_are_found_by_name_and_values():
    evidence = made_up()
    assert len(evidence.runs) == 4
    assert evidence.criteria == []
    assert [row["variant"] for row in evidence.where("runs", seed=0)] == ["bn", "baseline"]
    assert evidence.where("curves", absent=None) == evidence.curves  # a column of other rows
    assert evidence.variants == ["bn", "baseline"]
    assert unique(evidence.runs, "seed") == [2, 0]
    assert evidence.seeds("bn") == all_seeds(evidence) == [0, 2]
    assert evidence.run("baseline", 2)["final_test_accuracy"] == pytest.approx(0.7)
    assert evidence.data == "mnist"
    assert Evidence(runs=[]).data == ""


@pytest.mark.parametrize(
    "ask",
    [
        lambda evidence: evidence.rusn,
        lambda evidence: evidence.where("rusn", seed=0),
        lambda evidence: evidence.cells.append({}),
    ],
)
def test_a_table_that_is_not_there_is_an_error_that_lists_those_that_are(ask):
    with pytest.raises(AttributeError, match=r"no table \w+; there are runs, criteria, curves"):
        ask(made_up())


def test_a_curve_leaves_out_rows_without_accuracy():
    assert made_up().curve("bn", 0) == [(10, 0.25), (30, 0.75)]
    assert made_up().curve("bn", 0, "wall_s") == [(2.5, 0.25), (7.5, 0.75)]


def test_evidence_is_copied_and_pickled_whole():
    evidence = made_up()
    assert copy.deepcopy(evidence) == pickle.loads(pickle.dumps(evidence)) == evidence
    assert evidence != Evidence(runs=evidence.runs)


def test_evidence_survives_its_files(tmp_path):
    evidence = made_up()
    typed = {"dirty": False, "first_non_finite_step": None, "commit": "00e5", "threads": 1,
             "hardware": "1_000"}  # fmt: skip
    for run in evidence.runs:
        run |= typed
    write(evidence, tmp_path)
    assert read(tmp_path) == evidence  # the commit is not the number 0, and 1_000 is a text
    assert {path.name for path in tmp_path.iterdir()} == {"curves.csv.gz", "runs.csv", "sha256.txt"}


def test_writing_removes_the_tables_of_before(tmp_path):
    write(made_up(), tmp_path)
    (tmp_path / "table.md").touch()
    write(Evidence(runs=made_up().runs, curves=[]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"runs.csv", "sha256.txt", "table.md"}


def test_a_folder_without_tables_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no published evidence"):
        read(tmp_path)


def test_records_made_at_several_commits_name_each_once():
    continued, other = {"commit": "a b", "dirty": False}, {"commit": "b", "dirty": False}
    assert merged([continued, other]) == {"commit": "a b", "dirty": False}
    assert merged([other, other | {"commit": None, "dirty": None}]) == {
        "commit": None, "dirty": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs.csv", b"variant,seed\n"),  # cut short
        ("runs.csv", b"\xff\xfe"),
        ("runs.csv", None),  # removed
        ("curves.csv.gz", b"\x1f\x8b"),
        ("more.csv", b"a\n1\n"),  # added
    ],
)
def test_tables_that_are_not_as_published_are_named(tmp_path, name, content):
    write(made_up(), tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{tmp_path}: {name}: not as published; `git checkout"):
        read(tmp_path)


def test_tables_whose_sums_are_gone_are_not_read(tmp_path):
    write(made_up(), tmp_path)
    (tmp_path / "sha256.txt").unlink()
    with pytest.raises(UserError, match=r"sha256.txt: cannot be read"):
        read(tmp_path)
