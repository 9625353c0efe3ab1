"""`make compare`: run folders in one figure, with a table of exactly the settings that differ."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.gather import gather_runs
from bnrepro.plots.style import arm
from experiments.mnist.__main__ import main as train
from scripts import compare
from tests.drawing import call, legend, line, tables_of


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """A named run folder, and one with another rate, network and number of seeds."""
    results = tmp_path_factory.mktemp("runs")
    common = ["scale=smoke", "variant=bn", "wandb.mode=disabled"]
    call(train, [*common, f"results={results}"])
    changed = ["optim.lr=0.5", "model.hidden=[20,20]", "seeds=[4]", "threads=null"]
    call(train, [*common, *changed, f"results={results}"])
    return sorted((results / "mnist/smoke").glob("bn*"))


def test_two_folders_are_overlaid_with_exactly_their_differing_settings(
    folders, run, tmp_path, capsys
):
    assert run(compare.main, [*map(str, folders), "--to", str(tmp_path / "to")]) == 0
    names = [folder.name for folder in folders]
    accuracy, settings = tables_of(tmp_path / "to/table.md")
    assert settings == [
        ["setting", *names],
        ["model.hidden", "[100, 100, 100]", "[20, 20]"],
        ["optim.lr", "1.0", "0.5"],
    ]
    assert [row[:3] for row in accuracy[1:]] == [
        [names[0], "0, 1", "trained"],
        [names[1], "4", "trained"],
    ]
    printed = capsys.readouterr().out
    assert names[1] in printed
    written = [Path(word).name for word in printed.split()[-3:]]
    assert written == ["accuracy.png", "accuracy.svg", "table.md"]


def test_the_figure_has_a_line_a_folder_under_its_name(folders):
    evidence = gather_runs(compare.labelled(folders))
    figure = compare.accuracy_figure(evidence)
    plt.close(figure)
    (axis,) = figure.axes
    assert legend(axis) == [arm("bn").label, folders[1].name]
    assert axis.get_title() == "synthetic"
    steps, means = line(axis, folders[1].name)
    assert steps == [5, 10, 15, 20, 40, 60]
    assert means[-1] == evidence.run(folders[1].name, 4)["final_test_accuracy"]


def test_what_leaves_the_numbers_as_they_are_is_no_setting(folders, tmp_path):
    common = ["scale=smoke", "variant=bn", "wandb.mode=disabled", f"results={tmp_path}"]
    neutral = ["seeds=1", "checkpoint_every=9", f"data.cache={tmp_path}", "threads=null"]
    call(train, [*common, *neutral])
    other = tmp_path / "mnist/smoke/bn"
    assert compare.settings_table({"one": folders[0], "other": other}) == [
        ["setting", "one", "other"]
    ]


def test_folders_of_the_same_name_are_labelled_by_the_ends_of_their_paths():
    paths = [Path("/runs/mnist/paper/bn"), Path("/runs/mnist/smoke/bn")]
    assert compare.labelled(paths) == {"paper/bn": paths[0], "smoke/bn": paths[1]}
    assert compare.labelled([paths[0]]) == {"bn": paths[0]}


def test_labels_are_as_long_as_they_must_be_to_differ():
    paths = [Path(f"/{machine}/results/runs/mnist/paper/bn") for machine in "ab"]
    labels = {
        f"{machine}/results/runs/mnist/paper/bn": path
        for machine, path in zip("ab", paths, strict=True)
    }
    assert compare.labelled(paths) == labels


def test_a_folder_of_arms_is_answered_with_the_name_of_one(run, tmp_path):
    for name in ("baseline", "bn"):
        (tmp_path / name / "seed-0").mkdir(parents=True)
        (tmp_path / name / "seed-0/summary.json").write_text("{}")
    said = f"no finished run in {tmp_path}; name an arm's folder, such as {tmp_path}/baseline"
    with pytest.raises(UserError, match=said):
        run(compare.main, [str(tmp_path)])


def test_an_interval_ends_where_accuracies_do():
    runs = [
        {"variant": "bn", "seed": seed, "outcome": "trained", "final_test_accuracy": end,
         "best_test_accuracy": end}
        for seed, end in enumerate([0.99, 0.91])
    ]  # fmt: skip
    (_, row) = compare.accuracy_table(Evidence(runs=runs))
    assert row[3] == "95.00 [44.18, 100.00]"


def test_an_arm_of_which_a_seed_diverged_has_no_mean_of_the_others():
    ends = [0.9, 0.8, None, 0.7, 0.6]
    runs = [
        {"variant": "bn", "seed": seed, "outcome": "trained" if end else "non-finite",
         "final_test_accuracy": end, "best_test_accuracy": 0.5}
        for seed, end in enumerate(ends)
    ]  # fmt: skip
    (_, row) = compare.accuracy_table(Evidence(runs=runs))
    assert row == ["bn", "0, 1, 2, 3, 4", "trained, non-finite", "1 of 5 diverged",
                   "50.00 [50.00, 50.00]"]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "words"), [([], "name run folders"), (["nowhere"], "no finished run in .*nowhere")]
)
def test_a_folder_without_a_finished_run_is_named(names, words, folders, run, tmp_path):
    arguments = [str(tmp_path / name) for name in names]
    with pytest.raises(UserError, match=words):
        run(compare.main, [*arguments, "--to", str(tmp_path / "to")])
    assert not (tmp_path / "to").exists()
