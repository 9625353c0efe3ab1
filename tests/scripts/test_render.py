"""`scripts.render`: an overridden arm is drawn beside the named arms that are finished."""

import dataclasses
from pathlib import Path

import pytest
from hydra.errors import HydraException

from bnrepro.config import compose
from bnrepro.config.identity import folder_name
from bnrepro.errors import UserError
from bnrepro.experiment import find
from bnrepro.plots.style import arm
from bnrepro.run import arms as arms_module
from bnrepro.run.arms import compose_arms
from experiments.inception.__main__ import main as inception
from experiments.mnist.__main__ import main as mnist
from scripts import render
from tests.drawing import call, drawn, evidence_of, legend, more, tables_of

SMOKE = ["scale=smoke", "wandb.mode=disabled"]
COMMANDS = {"mnist": mnist, "inception": inception}
NAMED = {"mnist": ["baseline", "bn"], "inception": ["inception", "bn_x5"]}
OVERRIDDEN = {
    "mnist": ["variant=bn", "optim.lr=0.5"],
    "inception": ["variant=bn_x5", "optim.lr=0.05"],
}


@pytest.fixture(scope="module", params=["mnist", *more("inception")])
def shown(request, tmp_path_factory) -> tuple[str, list[str], str]:
    """An experiment with two named arms and an overridden one, how to render it, its name."""
    experiment = request.param
    common = [*SMOKE, f"results={tmp_path_factory.mktemp(experiment)}"]
    for variant in NAMED[experiment]:
        call(COMMANDS[experiment], [*common, f"variant={variant}"])
    overrides = [*common, *OVERRIDDEN[experiment]]
    call(COMMANDS[experiment], overrides)
    cfg = compose(experiment, overrides)
    return experiment, overrides, folder_name(cfg, "synthetic")


def test_an_overridden_arm_is_in_legend_table_and_terminal_beside_the_named_arms(
    shown, run, capsys
):
    experiment, overrides, name = shown
    assert run(render.main, [experiment, *overrides]) == 0
    printed = capsys.readouterr().out
    assert name in printed
    folder = Path(printed.split()[-1]).parent
    assert folder.name == f"figures-{name.split('-')[1]}"
    evidence = evidence_of(experiment, overrides)
    assert evidence.variants == [*sorted(NAMED[experiment]), name]
    labels = [arm(variant).label for variant in (*NAMED[experiment], name)]
    table = tables_of(folder / "table.md")[0]
    rows = table[0][1:] if experiment == "mnist" else [row[0] for row in table[1:]]
    assert sorted(rows) == sorted(labels)
    figure = next(iter(drawn(experiment, evidence).values()))
    key = legend(figure.axes[0])
    lines = [text.removesuffix(" (each seed)") for text in key if "chance" not in text]
    assert sorted(lines) == sorted(labels)
    colours = [line.get_color() for line in figure.axes[0].get_lines()]
    assert arm(name).colour in colours


def test_an_overridden_arm_of_inception_has_a_line_of_its_own_and_its_speed(shown):
    experiment, overrides, name = shown
    if experiment == "inception":
        evidence = evidence_of(experiment, overrides)
        evidence.tables["runs"] = [{**run, "chance_accuracy": 0.0} for run in evidence.runs]
        _, times = drawn(experiment, evidence)["figure-2"].axes
        assert [row.get_text() for row in times.get_yticklabels()] == [name, "BN-x5"]
        assert times.get_xlabel().startswith("times as fast as Inception,")
        pairs = [row[1] for row in find(experiment).figures.tables(evidence)[1][1:]]
        assert pairs.count(f"{name} : inception") == 4


def test_without_a_variant_all_arms_are_shown_under_the_same_overrides(shown):
    experiment, overrides, _ = shown
    others = [o for o in overrides if not o.startswith("variant=")]
    evidence = evidence_of(experiment, others)
    assert evidence.variants == [overrides[-2].removeprefix("variant=")]
    assert render.figure_folder(compose_arms(experiment, others)).name.startswith("figures-")


def test_the_named_arms_alone_are_in_the_folder_without_a_hash(shown):
    experiment, overrides, _ = shown
    named = overrides[:-2]
    assert evidence_of(experiment, named).variants == sorted(NAMED[experiment])
    assert render.figure_folder(compose_arms(experiment, named)).name == "figures"


def test_an_arm_that_is_asked_for_and_not_finished_is_an_error_and_no_figure_of_the_others(
    shown, run
):
    experiment, overrides, _ = shown
    with pytest.raises(UserError, match="no finished run"):
        run(render.main, [experiment, *overrides[:-1], "optim.lr=0.123"])


def test_a_named_arm_asked_for_alone_is_drawn_once(shown):
    experiment, overrides, _ = shown
    arms = compose_arms(experiment, overrides[:-1])
    assert (arms.asked, list(arms.folders).count(arms.asked[0])) == ([overrides[-2][8:]], 1)
    assert len(set(arms.folders.values())) == len(arms.folders)


def test_an_arm_on_a_subset_of_the_data_is_drawn_once(monkeypatch, tmp_path):
    def subset(cfg, usual=arms_module.open_images):
        return dataclasses.replace(usual(cfg), name="synthetic-5k")

    monkeypatch.setattr(arms_module, "open_images", subset)
    arms = compose_arms("mnist", ["scale=smoke", "variant=bn", f"results={tmp_path}"])
    assert len(set(arms.folders.values())) == len(arms.folders)
    assert {path.name for path in arms.folders.values()} == {
        f"{variant}-synthetic-5k" for variant in ("baseline", "baseline_tuned", "bn", "bn_tuned")
    }


def test_two_overridden_arms_in_one_command(tmp_path):
    where = [*SMOKE, f"results={tmp_path}", "optim.lr=0.3"]
    arms = compose_arms("mnist", [*where, "variant=bn,baseline"])
    assert [name.split("-")[0] for name in arms.asked] == ["bn", "baseline"]
    assert [arms.cfgs[name].optim.lr for name in arms.asked] == [0.3, 0.3]
    assert [arms.cfgs[name].optim.lr for name in ("bn", "baseline")] == [1.0, 1.0]
    assert list(arms.folders)[-2:] == arms.asked


def test_a_mistake_is_named_before_anything_is_drawn(run, tmp_path):
    for arguments, words in (
        ([], "name an experiment"),
        (["mnits"], "name an experiment.*mnist"),
        (["mnist", "variant=bnn"], "bnn"),
        (["mnist", *SMOKE, f"results={tmp_path}"], "no finished run under"),
    ):
        with pytest.raises((UserError, HydraException), match=words):
            run(render.main, arguments)
    assert not list(tmp_path.iterdir())
