"""Publishing: what may become evidence, and what is written."""

import dataclasses
from pathlib import Path

import pytest

from bnrepro.config import compose
from bnrepro.errors import UserError
from bnrepro.evidence import Evidence
from bnrepro.evidence.evidence import read, write
from bnrepro.experiment import find
from bnrepro.plots.render import table_file
from bnrepro.run import provenance
from experiments.mnist.__main__ import main as train
from scripts import publish
from tests.drawing import call, evidence_of

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
        (["mnist", "variant=bn"], "takes scale, .* only"),
        (["minst"], "name an experiment to publish.*mnist"),
        ([], "name an experiment to publish.*mnist"),
    ],
)
def test_smoke_and_overridden_runs_are_never_published(arguments, words, run):
    with pytest.raises(UserError, match=words):
        run(publish.main, arguments)


def test_evidence_lacks_what_was_not_run():
    mnist = {v: compose("mnist", [f"variant={v}"]) for v in ("bn", "baseline")}
    found = Evidence(runs=[{"variant": "bn", "seed": 0}, {"variant": "baseline", "seed": 1}])
    assert publish.lacking(found, {"bn": mnist["bn"]}, [0]) == []
    assert publish.lacking(found, mnist, [0, 1]) == ["bn seed 1", "baseline seed 0"]
    searches = {v: compose("mnist_grid", [f"variant={v}"]) for v in ("bn", "baseline")}
    assert publish.lacking(Evidence(runs=[{"variant": "bn"}]), searches, [0]) == ["baseline"]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """The results folder of finished smoke runs of every arm, as if made from a clean commit."""
    folder = tmp_path_factory.mktemp("runs")
    arms = ["-m", "variant=baseline,baseline_tuned,bn,bn_tuned", f"hydra.sweep.dir={folder}/sweep"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "repository_state", lambda: ("abc", False))
        call(train, [*arms, "scale=smoke", "wandb.mode=disabled", f"results={folder}"])
    return folder


@pytest.fixture
def as_scale_paper(monkeypatch, tmp_path) -> Path:
    """Where publishing writes when the smoke runs pass for those of scale paper."""

    def arms(experiment, overrides, usual=publish.compose_arms):
        return dataclasses.replace(usual(experiment, ["scale=smoke", *overrides]), scale="paper")

    monkeypatch.setattr(publish, "compose_arms", arms)
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    return tmp_path / "results/mnist/paper"


def test_what_is_published_is_what_ran(results, as_scale_paper, run, capsys):
    as_scale_paper.mkdir(parents=True)
    (as_scale_paper / "gone.csv").write_text("a table of before\n1\n")
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    gathered = evidence_of("mnist", ["scale=smoke", f"results={results}"])
    published = read(as_scale_paper)
    assert {name for name, rows in published.tables.items() if rows} == {
        "runs", "criteria", "curves", "units",
    }  # fmt: skip
    assert [(r["variant"], r["seed"]) for r in published.runs] == [
        (v, s) for v in ("baseline", "baseline_tuned", "bn", "bn_tuned") for s in (0, 1)
    ]
    assert {run["commit"] for run in published.runs} == {"abc"}
    expected = table_file(find("mnist"), gathered)
    assert (as_scale_paper / "table.md").read_text("utf-8") == expected
    assert expected == table_file(find("mnist"), published)
    shown = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert {"figure-1.png", "figure-1.svg", "table.md"} <= shown
    before = {path: path.read_bytes() for path in as_scale_paper.iterdir()}
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    assert {path: path.read_bytes() for path in as_scale_paper.iterdir()} == before


def test_nothing_is_written_while_a_run_lacks(results, as_scale_paper, run):
    summary = results / "mnist/smoke/bn/seed-1/summary.json"
    aside = summary.rename(summary.with_suffix(".aside"))
    try:
        with pytest.raises(UserError, match=r"mnist: no finished run of bn seed 1$"):
            run(publish.main, ["mnist", f"results={results}"])
    finally:
        aside.rename(summary)
    assert not as_scale_paper.exists()


@pytest.fixture
def undrawn(monkeypatch) -> None:
    monkeypatch.setattr(publish, "render", lambda *_: [])


@pytest.mark.usefixtures("undrawn")
def test_an_arm_without_runs_keeps_what_it_has_published(results, as_scale_paper, run, capsys):
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    before = {path.name: path.read_bytes() for path in as_scale_paper.iterdir()}
    capsys.readouterr()
    arm = results / "mnist/smoke/bn"
    aside = arm.rename(results / "aside")
    try:
        assert run(publish.main, ["mnist", f"results={results}"]) == 0
    finally:
        aside.rename(arm)
    assert capsys.readouterr().out.startswith("as published before: bn\n")
    assert {path.name: path.read_bytes() for path in as_scale_paper.iterdir()} == before


@pytest.mark.usefixtures("undrawn")
def test_rows_of_another_config_are_not_kept(results, as_scale_paper, run):
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    changed = read(as_scale_paper)
    changed.tables["runs"] = [row | {"config_hash": "other"} for row in changed.runs]
    write(changed, as_scale_paper)
    aside = (results / "mnist/smoke/bn").rename(results / "aside")
    try:
        with pytest.raises(UserError, match="bn, seed 0: made with another config"):
            run(publish.main, ["mnist", f"results={results}"])
    finally:
        aside.rename(results / "mnist/smoke/bn")
    assert read(as_scale_paper) == changed


@pytest.mark.usefixtures("undrawn")
def test_without_any_run_nothing_is_published_again(results, as_scale_paper, run):
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    with pytest.raises(UserError, match="no finished run of baseline seed 0"):
        run(publish.main, ["mnist", f"results={results}/nowhere"])


@pytest.mark.usefixtures("undrawn")
def test_a_run_made_anew_does_not_make_its_claims_older(results, as_scale_paper, run):
    """A criterion that the first publication lacked was stated when the values were known."""
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    published = read(as_scale_paper)
    first, *others = published.criteria
    published.tables["criteria"] = others
    write(published, as_scale_paper)
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    assert read(as_scale_paper).criteria == others
    published.tables["runs"] = [row | {"config_hash": "other"} for row in published.runs]
    write(published, as_scale_paper)
    assert run(publish.main, ["mnist", f"results={results}"]) == 0
    assert first in read(as_scale_paper).criteria
