"""`experiments.mnist` end to end at scale=smoke: records, killing and resuming, bad input."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bnrepro.config import variants
from bnrepro.errors import UserError
from bnrepro.evidence import gather
from bnrepro.evidence.evidence import Evidence
from bnrepro.plots.style import arm
from bnrepro.run.locks import locked
from bnrepro.run.record import read_rows
from experiments.mnist.__main__ import main
from experiments.mnist.metrics import saturation_change
from scripts import render
from tests.drawing import call, drawn, evidence_of, legend, line, tables_of
from tests.experiments.altered import committed
from tests.run.damage import resummarised

SMOKE = ["scale=smoke", "wandb.mode=disabled"]


@pytest.mark.parametrize("variant", variants("mnist"))
def test_every_arm_runs_end_to_end(variant, run, tmp_path):
    assert run(main, [*SMOKE, f"variant={variant}", f"results={tmp_path}"]) == 0
    for seed in (0, 1):
        folder = tmp_path / "mnist/smoke" / variant / f"seed-{seed}"
        summary = json.loads((folder / "summary.json").read_text())
        meta = json.loads((folder / "meta.json").read_text())
        rows = read_rows(folder / "metrics.jsonl")
        assert (summary["status"], summary["steps"]) == ("ok", 60)
        assert summary["final"]["test_accuracy"] == rows[-1]["test_accuracy"]
        assert summary["best"]["test_accuracy"] == max(r["test_accuracy"] for r in rows)
        assert [r["step"] for r in rows] == [5, 10, 15, 20, 40, 60]
        assert meta["data"]["name"] == "synthetic"
        assert meta["group"] == [0, 1]
        assert (folder / "config.yaml").exists()
        probed = [r for r in rows if "percentiles" in r]
        assert [r["step"] for r in probed] == [10, 20, 40, 60]
        low, middle, high = probed[-1]["percentiles"]["inference"]["hidden3"]
        assert len(middle) == 100
        assert all(a <= b <= c for a, b, c in zip(low, middle, high, strict=True))


def test_bn_learns_the_smoke_set(run, tmp_path):
    assert run(main, [*SMOKE, "variant=bn", f"results={tmp_path}"]) == 0
    summary = json.loads((tmp_path / "mnist/smoke/bn/seed-0/summary.json").read_text())
    assert summary["outcome"] == "trained"
    assert summary["final"]["test_accuracy"] > 0.5
    assert summary["final"]["test_accuracy_population"] > 0.5


def test_a_finished_run_is_not_run_again_and_more_seeds_join(run, tmp_path):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}"]
    run(main, [*arguments, "seeds=1"])
    folder = tmp_path / "mnist/smoke/bn"
    before = (folder / "seed-0/metrics.jsonl").stat().st_mtime_ns
    assert run(main, [*arguments, "seeds=2"]) == 0
    assert (folder / "seed-0/metrics.jsonl").stat().st_mtime_ns == before
    assert json.loads((folder / "seed-1/meta.json").read_text())["group"] == [1]
    assert run(main, [*arguments, "seeds=1", "force=true"]) == 0
    assert (folder / "seed-0/metrics.jsonl").stat().st_mtime_ns > before


def test_divergence_is_a_result(run, tmp_path):
    overrides = ["optim.lr=1e38", "model.activation=relu", "seeds=1"]
    assert run(main, [*SMOKE, *overrides, f"results={tmp_path}"]) == 0
    (path,) = tmp_path.glob("mnist/smoke/baseline-*/seed-0/summary.json")
    summary = json.loads(path.read_text())
    assert (summary["status"], summary["outcome"]) == ("diverged", "non-finite")
    assert 1 <= summary["first_non_finite_step"] <= 10
    assert summary["final"] is None


@pytest.mark.thorough
def test_arms_and_rates_in_one_command(run, tmp_path):
    sweep = ["-m", "variant=baseline,bn", "optim.lr=0.5,1.0", "seeds=[7]"]
    assert run(main, [*sweep, *SMOKE, f"results={tmp_path}"]) == 0
    found = sorted(path.parent.name[:9] for path in tmp_path.glob("mnist/smoke/*/seed-7"))
    assert found == ["baseline", "baseline-", "bn", "bn-" + found[-1][3:]]


def expect_error(run, arguments, capsys, *words):
    assert run(main, arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if line.lower().startswith("error")]) == 1
    for word in words:
        assert word in lines[-1]


def test_bad_overrides_end_before_any_work(run, tmp_path, capsys):
    where = f"results={tmp_path / 'r'}"
    expect_error(run, [*SMOKE, "optim.lrr=1", where], capsys, "optim.lrr", "did you mean lr?")
    expect_error(run, [*SMOKE, "optim.batch=5000", where], capsys, "optim.batch=5000", "1200")
    expect_error(run, [*SMOKE, "device=warp", where], capsys, "device=warp")
    expect_error(
        run, [*SMOKE, "data=mnist", f"data.root={tmp_path}", where], capsys, "lacks train-images"
    )
    nowhere = ["scale=smoke", "wandb.mode=offline", f"wandb.dir={__file__}", where]
    expect_error(run, nowhere, capsys, "wandb.dir", "cannot write")
    online = ["scale=smoke", "wandb.mode=online", f"wandb.dir={tmp_path}", where]
    expect_error(run, online, capsys, "needs a key")
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_an_unusable_results_folder(run, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    expect_error(run, [*SMOKE, f"results={tmp_path / 'file'}"], capsys, "cannot be written")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_process_on_the_same_run(run, tmp_path, capsys):
    folder = tmp_path / "mnist/smoke/baseline/seed-1"
    with locked([folder]):
        expect_error(run, [*SMOKE, f"results={tmp_path}"], capsys, "another process", "seed-1")
    assert run(main, [*SMOKE, f"results={tmp_path}"]) == 0


def test_the_record_of_another_config_is_not_overwritten(run, tmp_path, capsys):
    arguments = [*SMOKE, "variant=bn", f"results={tmp_path}", "seeds=1"]
    run(main, arguments)
    path = tmp_path / "mnist/smoke/bn/seed-0/summary.json"
    old = resummarised(path.parent, config_hash="0123456789ab")
    expect_error(run, arguments, capsys, "another config", "force=true")
    assert json.loads(path.read_text()) == old


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> list[str]:
    """The overrides of a finished run of both arms of Figure 1."""
    arguments = [*SMOKE, f"results={tmp_path_factory.mktemp('both')}"]
    for variant in ("baseline", "bn"):
        call(main, [*arguments, f"variant={variant}"])
    return arguments


def test_figure_1_draws_every_arm_and_a_unit_of_each(both):
    evidence = evidence_of("mnist", both)
    error, *units = drawn("mnist", evidence)["figure-1"].axes
    labels = [label.removesuffix(" (each seed)") for label in legend(error)]
    assert labels == ["without BN", "with BN"]
    mine = [each for each in error.get_lines() if each.get_color() == arm("bn").colour]
    assert len(mine) == 3  # both seeds and their mean
    steps, means = line(error, "with BN")
    assert steps == [5, 10, 15, 20, 40, 60]
    final = [evidence.run("bn", seed)["final_test_accuracy"] for seed in (0, 1)]
    assert means[-1] == pytest.approx(100 - 100 * sum(final) / 2)
    for axis, name in zip(units, ("(b) without BN", "(c) with BN"), strict=True):
        assert axis.get_title() == name
        percentiles = [line(axis, f"{p}th percentile") for p in (15, 50, 85)]
        assert all(steps == [10, 20, 40, 60] for steps, _ in percentiles)
        assert all(a < b < c for a, b, c in zip(*(y for _, y in percentiles), strict=True))


def test_the_papers_axes_stay_beside_it(both):
    accuracy, *units = drawn("mnist", evidence_of("mnist", both))["figure-1-paper-axes"].axes
    assert accuracy.get_ylim()[1] == 1.0
    assert {axis.get_xscale() for axis in (accuracy, *units)} == {"linear"}
    assert {line.get_ydata()[0] for line in units[0].get_lines()[-2:]} == {-2.0, 2.0}


def test_shown_units_move_about_their_own_mean_in_units_of_their_spread():
    evidence = committed("mnist")
    centres, widths, ratios = drawn("mnist", evidence)["units"].axes
    assert len(centres.get_lines()) == len(widths.get_lines()) == 6  # three units of two arms
    rows = evidence.where("units", variant="bn", layer="hidden3", mode="training", rank=100)
    late = [row for row in rows if row["step"] >= 1000]
    middle = np.array([row["p50"] for row in late])
    spread = np.array([row["p85"] - row["p15"] for row in late])
    drawn_line = centres.get_lines()[-1]
    assert drawn_line.get_ydata() == pytest.approx((middle - middle.mean()) / spread.mean())
    assert drawn_line.get_xdata()[0] == 1000
    runs = [evidence.run(variant, seed) for variant in ("bn", "baseline") for seed in (0, 1)]
    bn, plain = (
        [run["drift_spread_training_hidden2"] for run in pair] for pair in (runs[:2], runs[2:])
    )
    expected = math.prod(a / b for a, b in zip(bn, plain, strict=True)) ** 0.5
    assert f"{expected:.2f}" in [text.get_text() for text in ratios.texts]


def test_every_units_drift_is_evidence_and_its_median_is_that_of_the_run(both):
    assert not evidence_of("mnist", both).drifts  # 60 steps: drift begins at 1,000
    moved = gather._unit_drifts(probes(), ["hidden1"])
    assert [row["median_training"] for row in moved] == pytest.approx([0.70711, 1.41421])


def probes() -> list[dict]:
    """Two probes of two units, the second of which moves twice as far."""
    return [
        {
            "step": 1000 * t,
            "percentiles": {
                "training": {"hidden1": [[t - 1, 2 * t - 1], [t, 2 * t], [t + 1, 2 * t + 1]]}
            },
        }
        for t in (1, 2)
    ]


def test_saturation_is_compared_in_the_layer_where_bn_saturates_most():
    rows = [
        {
            "variant": variant,
            "seed": 0,
            "step": 10,
            "saturated_hidden1": first,
            "saturated_hidden2": second,
        }
        for variant, first, second in (("bn", 0.1, 0.3), ("baseline", 0.5, 0.1))
    ]
    runs = [{"variant": variant, "seed": 0} for variant in ("bn", "baseline")]
    claim = {"arm": "bn", "against": "baseline"}
    assert saturation_change(Evidence(runs=runs, curves=rows), claim) == pytest.approx([0.2])
    assert saturation_change(Evidence(runs=runs, curves=[]), claim) == [None]


def test_the_table_has_every_arm_and_every_seed(both, run):
    with pytest.raises(UserError, match="no finished run"):
        run(render.main, ["mnist", *both, "optim.lr=0.7"])
    assert run(render.main, ["mnist", *both]) == 0
    (path,) = Path(both[-1].removeprefix("results=")).glob("mnist/smoke/figures/table.md")
    summary, speed, plain, bn = tables_of(path)
    assert summary[0] == ["synthetic: mean [95 % interval]", "without BN", "with BN"]
    assert [row[0] for row in plain[1:]] == [row[0] for row in bn[1:]]
    assert [row[1] for row in speed[1:]] == ["bn : baseline"] * 5
    best = [r["best_test_accuracy"] for r in evidence_of("mnist", both).where("runs", variant="bn")]
    row = next(row for row in bn if row[0] == "best test accuracy")
    assert row[1:] == [f"{value:.4f}" for value in best]
    row = next(row for row in summary if row[0] == "best test accuracy")
    assert row[2].startswith(f"{sum(best) / 2:.4f} [")


def test_rendering_names_its_files_and_the_data_unless_it_is_the_papers(both, run, capsys):
    assert run(render.main, ["mnist", *both]) == 0
    *paths, table = capsys.readouterr().out.split()[-7:]
    assert [Path(path).name for path in paths] == [
        f"{name}.{kind}"
        for name in ("figure-1", "figure-1-paper-axes", "units")
        for kind in ("png", "svg")
    ]
    for path in (*paths[1::2], table):
        assert "synthetic: " in Path(path).read_text()
    for path in paths[0::2]:
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_arms_that_diverged_are_rendered_and_named(run, tmp_path):
    overrides = [*SMOKE, f"results={tmp_path}", "seeds=1", "model.activation=relu", "optim.lr=1e38"]
    for variant in ("baseline", "bn"):
        assert run(main, [*overrides, f"variant={variant}"]) == 0
    assert run(render.main, ["mnist", *overrides]) == 0
    (path,) = tmp_path.rglob("table.md")
    (row,) = [row for row in tables_of(path)[0] if row[0] == "diverged at step"]
    assert row[1:] == ["1 of 1 seeds", "1 of 1 seeds"]
    figure = drawn("mnist", evidence_of("mnist", overrides))["figure-1"]
    assert legend(figure.axes[0]) == ["without BN, 1 of 1 diverged", "with BN, 1 of 1 diverged"]
    assert figure.axes[1].get_ylabel() == "input to the ReLU"
