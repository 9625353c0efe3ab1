"""`experiments.mnist_grid` end to end at scale=smoke: rounds, the winner, resuming, heat maps."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import load
from bnrepro.run.record import Record, read_rows
from experiments.mnist_grid.__main__ import main
from experiments.mnist_grid.gather import slot_rows
from experiments.mnist_grid.measure import last_accuracies, slot
from scripts import render, verify
from tests.drawing import call, drawn, evidence_of, tables_of
from tests.experiments.altered import shown
from tests.experiments.killed import rows_without_time
from tests.run.damage import resummarised

SMOKE = ["scale=smoke", "variant=bn"]
PLACE = "mnist_grid/smoke/bn"
ROUNDS = ("grid", "extension-1", "finalists")


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """The results folder of a finished smoke grid of the arm with BN."""
    results = tmp_path_factory.mktemp("grid")
    call(main, [*SMOKE, f"results={results}"])
    return results


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_the_winner_is_the_best_finalist_on_held_out_images(grid):
    folder = grid / PLACE
    winner = summary_of(folder)["winner"]
    finals = [r for p in folder.glob("finalist*/metrics.jsonl") for r in read_rows(p)]
    best = max(finals, key=lambda row: (row["step"], row["test_accuracy"]))
    assert best["step"] == 30  # the whole duration
    assert winner == {
        "lr": best["lr"],
        "init_std": best["init_std"],
        "score": best["test_accuracy"],
    }
    meta = json.loads((folder / "grid/meta.json").read_text())
    assert meta["data"]["sizes"] == {"train": 1000, "validation": 200}


def test_the_first_round_has_every_cell_for_its_share_of_the_duration(grid):
    rows = read_rows(grid / PLACE / "grid/metrics.jsonl")
    stds = compose("mnist_grid", SMOKE).grid.axes["init_std"]
    assert {(r["lr"], r["init_std"]) for r in rows} == {(lr, s) for lr in (0.1, 1.0) for s in stds}
    assert max(row["step"] for row in rows) == 20


def test_a_round_that_trained_other_cells_or_is_damaged_is_trained_again(grid, run, tmp_path):
    shutil.copytree(grid, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / PLACE
    kept, other, damaged = (folder / name / "metrics.jsonl" for name in ROUNDS)
    resummarised(other.parent, slots="other")
    damaged.write_text("")
    before = [path.stat().st_mtime_ns for path in (kept, other, damaged)]
    evidence = evidence_of("mnist_grid", [*SMOKE, f"results={tmp_path}"])
    assert "bn" not in evidence.variants
    assert run(main, [*SMOKE, f"results={tmp_path}"]) == 0
    after = [path.stat().st_mtime_ns for path in (kept, other, damaged)]
    assert [a > b for a, b in zip(after, before, strict=True)] == [False, True, True]
    for path in (kept, other, damaged):
        assert rows_without_time(path.parent) == rows_without_time(grid / PLACE / path.parent.name)


def test_a_cell_s_score_is_the_mean_of_its_seeds_last_accuracies(run, tmp_path):
    one_cell = ["grid.axes.lr=[0.5]", "grid.axes.init_std=[0.1,0.3]", "grid.max_extensions=0"]
    arguments = [*SMOKE, *one_cell, "seeds=[7,8]", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    (folder,) = (tmp_path / "mnist_grid/smoke").iterdir()
    last = defaultdict(list)
    for row in read_rows(folder / "grid/metrics.jsonl"):
        if row["step"] == 20:
            last[row["lr"], row["init_std"]].append(row["test_accuracy"])
    scores = {(lr, std): score for lr, std, score in summary_of(folder)["rounds"]["grid"]}
    assert scores == {cell: pytest.approx(sum(each) / 2) for cell, each in last.items()}
    assert len(scores) == 2


def test_a_slot_that_diverged_before_the_round_s_end_counts_nothing(tmp_path):
    record = Record(tmp_path)
    record.begin(compose("mnist_grid", SMOKE), {})
    for step, seed in ((10, 7), (10, 8), (20, 8)):
        record.log(
            {"seed": seed, "lr": 1.0, "init_std": 0.1, "step": step, "test_accuracy": 0.5 + seed}
        )
    cfg = compose("mnist_grid", SMOKE)
    for last, expected in ((20, [0.0, 8.5]), (30, [0.0, 0.0])):
        accuracy = last_accuracies(record, last)
        assert [accuracy[slot(cfg, (1.0, 0.1), seed)] for seed in (7, 8)] == expected


def test_a_slot_that_was_never_evaluated_is_a_cell_that_diverged(tmp_path):
    record = Record(tmp_path / "grid")
    record.begin(compose("mnist_grid", SMOKE), {"total": 20})
    row = {"seed": 7, "lr": 1.0, "init_std": 0.1, "train_loss": 0.3}
    for step, accuracy in ((10, 0.1), (20, 0.5)):
        record.log({**row, "step": step, "test_accuracy": accuracy})
    known, never = slot_rows(record.folder, [(1.0, 0.1, 7), (9.0, 0.1, 7)])
    columns = ("lr", "steps", "diverged", "accuracy", "left_plateau_at")
    assert [known[column] for column in columns] == [1.0, 20, False, 0.5, 20]
    assert [never[column] for column in columns] == [9.0, 0, True, 0.0, None]


def test_a_round_of_which_every_slot_diverged_is_recorded_and_drawn(run, tmp_path):
    lost = ["grid.axes.lr=[1e38]", "grid.axes.init_std=[1e10]", "grid.max_extensions=0"]
    arguments = ["scale=smoke", "variant=baseline", *lost, f"results={tmp_path}"]
    assert run(main, arguments) == 0
    evidence = evidence_of("mnist_grid", arguments)
    assert [(row["accuracy"], row["diverged"]) for row in evidence.cells] == [(0.0, True)] * 2
    assert "diverged" in shown("mnist_grid", evidence)


def test_a_slot_that_ends_before_the_round_does_has_diverged(tmp_path):
    record = Record(tmp_path / "grid")
    record.begin(compose("mnist_grid", SMOKE), {"total": 20})
    slot_of = {"seed": 7, "lr": 1.0, "init_std": 0.1}
    record.log({**slot_of, "train_loss": 0.3, "step": 10, "test_accuracy": 0.5})
    (row,) = slot_rows(record.folder, [(1.0, 0.1, 7)])
    assert (row["steps"], row["diverged"], row["accuracy"]) == (10, True, 0.0)


def test_a_cell_sets_the_axes_alone_and_the_config_the_rest():
    glorot = compose("mnist_grid", ["variant=baseline_tuned"])
    glorot.model.init_std = 0.25
    made = slot(glorot, (3.0,), 7)
    assert (made.seed, made.lr, made.init_std) == (7, 3.0, 0.25)


def test_an_interrupted_grid_resumes_to_the_same_rows(grid, run, tmp_path, monkeypatch):
    arguments = [*SMOKE, f"results={tmp_path}"]

    def interrupt(record, row, usual=Record.log):
        if row["step"] == 20:
            raise KeyboardInterrupt
        usual(record, row)

    with monkeypatch.context() as patch:
        patch.setattr(Record, "log", interrupt)
        assert run(main, arguments) == 130
    assert summary_of(tmp_path / PLACE / "grid")["status"] == "interrupted"
    assert run(main, arguments) == 0
    assert [path.name for path in sorted((grid / PLACE).glob("*/"))] == sorted(ROUNDS)
    for name in ROUNDS:
        whole = rows_without_time(grid / PLACE / name)
        assert rows_without_time(tmp_path / PLACE / name) == whole != []


def test_the_heat_maps_have_every_cell_of_the_short_rounds_and_mark_the_chosen_one(grid):
    evidence = evidence_of("mnist_grid", ["scale=smoke", f"results={grid}"])
    figure = drawn("mnist_grid", evidence)["heat-maps"]
    (accuracy, plateau) = figure.axes
    assert figure.get_suptitle().startswith("synthetic: ")
    assert accuracy.get_title() == "with BN: validation accuracy, %"
    assert plateau.get_title() == "with BN: steps until accuracy passes 20%"
    cells = {(r["lr"], r["init_std"]) for r in evidence.cells if "finalist" not in r["round"]}
    rates = [tick.get_text() for tick in accuracy.get_xticklabels()]
    stds = [tick.get_text() for tick in accuracy.get_yticklabels()]
    (winner,) = evidence.runs
    for axis in (accuracy, plateau):
        assert len(axis.texts) == len(cells)
        (star,) = [text for text in axis.texts if text.get_text().endswith("★")]
        assert (rates[star.xy[0]], stds[star.xy[1]]) == (
            f"{winner['lr']:g}",
            f"{winner['init_std']:g}",
        )


def test_the_table_shows_the_finalists(grid, run, capsys):
    assert run(render.main, ["mnist_grid", "scale=smoke", f"results={grid}"]) == 0
    assert "heat-maps.png" in capsys.readouterr().out
    folder = grid / "mnist_grid/smoke/figures"
    assert "synthetic: " in (folder / "heat-maps.svg").read_text()
    (finalists,) = tables_of(folder / "table.md")
    winner = summary_of(grid / PLACE)["winner"]
    expected = (f"{winner['lr']:g}", f"{winner['init_std']:g}", f"{winner['score']:.4f}")
    assert finalists[0][3] == "synthetic: last validation accuracy by seed"
    assert [row[:4] for row in finalists[1:]] == [["with BN", *expected]]


def test_a_search_has_no_claims_that_verify_could_compare(grid, run, monkeypatch):
    arguments = ["scale=smoke", f"results={grid}"]
    monkeypatch.setattr(verify, "read", lambda _: evidence_of("mnist_grid", arguments))
    with pytest.raises(UserError, match=r"no claims to compare: .*results/mnist_grid/smoke/table"):
        run(verify.main, ["mnist_grid", *arguments])


def test_glorots_weights_are_a_line_of_the_plain_networks_map_and_three_panels_say_it_all():
    plain, bn, plateau = drawn("mnist_grid", load("mnist_grid", "paper"))["heat-maps"].axes
    for axis, lines in ((plain, 6), (bn, 5), (plateau, 6)):
        stds = [tick.get_text() for tick in axis.get_yticklabels()]
        assert stds == ["0.01", "0.03", "0.1", "0.3", "1", "Glorot"][:lines]
    stars = [sum(text.get_text().endswith("★") for text in axis.texts) for axis in (plain, bn)]
    assert stars == [2, 1]
    assert "with BN: ≤ 250 in 30 of 30 cells" in plateau.get_xlabel()
