"""`experiments.inception` end to end at scale=smoke; the arms differ as the paper lists."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from bnrepro.config import compose
from bnrepro.config.compose import arms_at
from bnrepro.data import synthetic
from bnrepro.evidence.evidence import load
from bnrepro.run.record import read_rows
from bnrepro.training.images import ImageTrainer, learning_rate, sgd, total_steps
from experiments.inception.__main__ import main
from experiments.inception.tables import tables
from scripts import render
from tests.drawing import Arms, call, drawn, evidence_of, legend, line, more, tables_of
from tests.experiments.killed import rows_without_time, run_and_die
from tests.test_config import differences

SMOKE = ["scale=smoke", "wandb.mode=disabled"]
ARMS = Arms("inception")
PAIRS = [
    ("inception", "bn_baseline", {"model.norm"}),
    ("inception", "inception_x5", {"optim.multiplier"}),
    ("inception", "inception_sigmoid", {"model.activation"}),
    ("bn_x5", "bn_x30", {"optim.multiplier"}),
    ("bn_x5", "bn_x5_sigmoid", {"model.activation"}),
    (
        "inception",
        "inception_recipe",
        {
            "model.dropout",  # (2) of Section 4.2.1
            "optim.weight_decay_divisor",  # (3)
            "model.lrn",  # (5)
            "pictures.shuffle",  # (6)
            "pictures.photometric",  # (7)
        },
    ),
    ("inception", "inception_paper_rate", {"optim.lr"}),
    ("bn_baseline", "bn_baseline_paper_rate", {"optim.lr"}),
    ("bn_x5", "bn_x5_paper_rate", {"optim.lr"}),
    ("bn_x30", "bn_x30_paper_rate", {"optim.lr"}),
    ("bn_baseline", "bn_baseline_own_rate", {"optim.lr"}),
    ("bn_x5", "bn_x5_own_rate", {"optim.lr", "optim.multiplier"}),
    (
        "bn_baseline",
        "bn_x5",
        {
            "optim.multiplier",  # (1) of Section 4.2.1
            "model.dropout",  # (2)
            "optim.weight_decay_divisor",  # (3)
            "optim.decay",  # (4)
            "model.lrn",  # (5)
            "pictures.shuffle",  # (6)
            "pictures.photometric",  # (7)
        },
    ),
]


@pytest.mark.usefixtures("new_workers")
@pytest.mark.parametrize("launcher", [[], *more(["launcher=joblib"])])
def test_a_job_that_fails_leaves_the_other_jobs_of_a_sweep_alone(launcher, run, tmp_path, capfd):
    sweep = ["variant=bn_x5", "optim.batch=100000,32", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert run(main, ["-m", *SMOKE, *sweep, *launcher, f"results={tmp_path}"]) == 2
    (summary,) = tmp_path.rglob("summary.json")
    assert json.loads(summary.read_text())["status"] == "ok"
    errors = capfd.readouterr().err
    assert "optim.batch=100000" in errors
    assert "Traceback" not in errors


@pytest.mark.thorough
def test_a_job_that_slurm_puts_back_into_the_queue_goes_on_though_it_was_forced(
    run, tmp_path, monkeypatch
):
    arguments = [*SMOKE, "variant=bn_x5", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    (path,) = tmp_path.rglob("metrics.jsonl")
    before = path.stat().st_mtime_ns
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert run(main, [*arguments, "force=true"]) == 0
    begun = path.stat().st_mtime_ns
    assert begun > before
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run(main, [*arguments, "force=true"]) == 0
    assert path.stat().st_mtime_ns == begun
    monkeypatch.setenv("SLURM_JOB_ID", "8")  # another job, which had not come so far
    assert run(main, [*arguments, "force=true"]) == 0
    assert path.stat().st_mtime_ns > begun


@pytest.mark.parametrize(("one", "other", "keys"), PAIRS)
def test_the_arms_differ_exactly_as_the_paper_lists(one, other, keys):
    arms = (asdict(ARMS[one]), asdict(ARMS[other]))
    assert differences(*arms) - {"variant"} == keys


def test_the_arms_of_a_laptop_and_their_rates():
    arms = {v: ARMS[v] for v in arms_at("inception", ["scale=small"])}
    rates = {v: learning_rate(c, 0) / c.optim.lr for v, c in arms.items()}
    assert rates == pytest.approx(
        {"inception": 1, "bn_baseline": 1, "bn_x5": 5, "bn_x30": 30, "bn_x5_sigmoid": 5,
         "inception_x5": 5, "inception_sigmoid": 1, "inception_recipe": 1}
    )  # fmt: skip


def test_three_protocols_choose_the_rates_of_the_asynchronous_arms():
    scale = ["scale=asynchronous"]
    arms = {v: compose("inception", [*scale, f"variant={v}"]) for v in ARMS}
    trained = load("inception", "asynchronous").variants
    assert set(arms_at("inception", scale)) == set(trained) == set(ARMS)
    rates = {v: learning_rate(c, 0) for v, c in arms.items()}
    base, own = arms["inception"].optim.lr, arms["inception"].own_rates
    assert (base, own) == (0.000375, {"bn_baseline": 0.006, "bn_x5": 0.003})  # of the searches
    expected = {"inception": base, "bn_x30": 30 * base, "bn_x30_paper_rate": 0.045,
                "bn_x5_paper_rate": 0.0075, "bn_x5_own_rate": own["bn_x5"],
                "bn_baseline_own_rate": own["bn_baseline"]}  # fmt: skip
    assert {v: rates[v] for v in expected} == pytest.approx(expected)
    small = asdict(compose("inception", ["scale=small"]))
    assert differences(small, asdict(arms["inception"])) <= {
        "scale", "seeds", "without", "optim.replicas", "optim.lr", "budget.fast", "eval.grid",
        "own_rates.bn_baseline", "own_rates.bn_x5", "own_rates",
    }  # fmt: skip
    assert {(c.optim.replicas, c.budget.fast) for c in arms.values()} == {(16, 6)}


def test_the_rate_decays_to_its_end_share_and_faster_from_x5_on():
    plain, fast = ARMS["inception"], ARMS["bn_x5"]
    assert total_steps(plain) == fast.budget.fast * total_steps(fast)
    for cfg in (plain, fast):
        share = learning_rate(cfg, total_steps(cfg)) / learning_rate(cfg, 0)
        assert share == pytest.approx(cfg.budget.end_share)


def smoke_trainer(variant: str, *overrides: str) -> ImageTrainer:
    cfg = compose("inception", ["scale=smoke", f"variant={variant}", *overrides])
    return ImageTrainer(cfg, 0, synthetic(200, 60), torch.device("cpu"))


def test_l2_acts_on_weights_alone_and_is_divided():
    for variant, decay in (("bn_baseline", 2e-4), ("bn_x5", 4e-5)):
        trainer = smoke_trainer(variant)
        weights, others = sgd(trainer.cfg, trainer.network).param_groups
        assert weights["weight_decay"] == pytest.approx(decay)
        assert others["weight_decay"] == 0
        assert {p.dim() for p in others["params"]} == {1}
        assert min(p.dim() for p in weights["params"]) == 2


def test_a_restored_trainer_goes_on_bitwise_with_dropout_and_augmentation():
    whole = [float(x) for x in smoke_trainer("inception").run([2, 4, 6])]
    first, second = smoke_trainer("inception"), smoke_trainer("inception")
    list(first.run([2]))
    second.load_state_dict(first.state_dict())
    assert [float(x) for x in second.run([4, 6])] == whole[1:]


@pytest.mark.parametrize(("what", "count"), [("row", 3), *more(("sync", 4))])
def test_a_killed_run_resumes_to_the_same_curve(what, count, run, tmp_path):
    whole, resumed = ([*SMOKE, f"results={tmp_path / name}"] for name in ("whole", "resumed"))
    assert run(main, whole) == 0
    run_and_die("inception", what, count, resumed)
    assert run(main, resumed) == 0
    one, other = (tmp_path / n / "inception/smoke/inception/seed-0" for n in ("whole", "resumed"))
    assert rows_without_time(one) == rows_without_time(other)


def test_divergence_is_latched_at_its_step():
    trainer = smoke_trainer("inception", "optim.lr=1e30")
    losses = [float(x) for x in trainer.run([1, 2, 3, 4, 5, 6, 7, 8])]
    bad = trainer.first_non_finite
    assert bad is not None
    assert trainer.active == []
    assert all(torch.isfinite(torch.tensor(losses[: bad - 1])))
    assert len(losses) == bad


def test_many_steps_at_once_latch_the_same_step():
    at_once, one_by_one = (smoke_trainer("inception", "optim.lr=1e30") for _ in range(2))
    list(at_once.run([8]))
    list(one_by_one.run(range(1, 9)))
    assert at_once.first_non_finite == one_by_one.first_non_finite > 1


def test_the_optimiser_follows_the_decay():
    trainer = smoke_trainer("bn_x5")
    list(trainer.run([3]))
    rates = {group["lr"] for group in trainer.optimiser.param_groups}
    assert rates == {learning_rate(trainer.cfg, 2)}  # of the update from step 2 to 3


def test_all_arms_share_data_order_and_initial_weights():
    plain, normalised = smoke_trainer("inception"), smoke_trainer("bn_baseline")
    for one, other in zip(plain.source.batch(3), normalised.source.batch(3), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(plain.network.classifier.weight, normalised.network.classifier.weight)


@pytest.mark.parametrize("variant", ["bn_x5", *more(*(arm for arm in ARMS if arm != "bn_x5"))])
def test_every_arm_runs_end_to_end(variant, run, tmp_path):
    assert run(main, [*SMOKE, f"variant={variant}", f"results={tmp_path}"]) == 0
    folder = tmp_path / "inception/smoke" / variant / "seed-0"
    summary = json.loads((folder / "summary.json").read_text())
    rows = read_rows(folder / "metrics.jsonl")
    assert summary["status"] == "ok"
    cfg = Arms("inception", "scale=smoke")[variant]
    assert rows[-1]["step"] == summary["steps"] == total_steps(cfg)
    assert 0 <= summary["final"]["test_accuracy_all"] <= 1
    probed = [r for r in rows if "percentiles" in r]
    assert set(probed[-1]["histogram"]) == {"conv1", "3a", "4a", "5b"}


def test_a_diverging_control_is_a_result(run, tmp_path):
    arguments = [*SMOKE, "variant=inception_x5", "optim.lr=1e30", f"results={tmp_path}"]
    assert run(main, arguments) == 0
    (path,) = tmp_path.rglob("summary.json")
    summary = json.loads(path.read_text())
    assert (summary["status"], summary["outcome"]) == ("diverged", "non-finite")
    assert summary["first_non_finite_step"] >= 1
    assert summary["non_finite_parameters"] > 0.5


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> list[str]:
    """The overrides of a finished run of Inception and BN-x5."""
    arguments = [*SMOKE, f"results={tmp_path_factory.mktemp('both')}"]
    for variant in ("inception", "bn_x5"):
        call(main, [*arguments, f"variant={variant}"])
    return arguments


def test_figure_2_draws_every_arm_over_steps(both):
    evidence = evidence_of("inception", both)
    figure = drawn("inception", evidence)["figure-2"]
    (curves,) = figure.axes  # Inception does not leave chance: no speed to compare
    assert "no speed to compare" in figure.get_suptitle()
    assert legend(curves) == ["Inception", "BN-x5", "chance + 3 s.e."]
    assert line(curves, "Inception")[0] == [2, 4, 8, 12]
    assert line(curves, "BN-x5")[0] == [2, 4, 6]  # its rate falls twice as fast
    final = evidence.run("bn_x5", 0)["final_test_accuracy"]
    assert line(curves, "BN-x5")[1][-1] == pytest.approx(final)
    assert figure.get_suptitle().startswith("synthetic: synchronous SGD\n")


def test_figure_2_shows_the_ratios_of_the_table_beside_the_papers():
    evidence = load("inception", "small")
    _, times = drawn("inception", evidence)["figure-2"].axes
    rows = [text.get_text() for text in times.get_yticklabels()][::-1]
    *papers, recipe = rows
    assert papers == ["BN-Baseline", "BN-x5", "BN-x30", "BN-x5-Sigmoid"]
    assert recipe == "Inception, BN-x5's recipe"
    *shown, of_recipe = [text.get_text() for text in times.texts]
    in_steps = {row[0]: row[3] for row in tables(evidence)[0][1:]}
    shown = [text.removeprefix("● ").split(":")[0] for text in shown]
    assert [in_steps[name].split()[0] for name in papers] == shown
    count = of_recipe.removeprefix("● never: ")  # "1 of 3"
    assert in_steps[recipe].endswith(f"never reached in {count} seeds")
    diamonds = [each.get_xdata() for each in times.get_lines() if each.get_marker() == "D"]
    assert [float(x) for places in diamonds for x in places] == [2.3, 14, 11.5]


def test_the_figure_of_inputs_has_a_panel_an_arm(both):
    axes = drawn("inception", evidence_of("inception", both))["inputs"].axes
    assert [axis.get_title() for axis in axes] == ["Inception", "BN-x5"]
    assert len({axis.get_ylim() for axis in axes}) == 1
    for axis in axes:
        percentiles = [line(axis, f"{p}th percentile")[1] for p in (15, 50, 85)]
        assert all(a <= b <= c for a, b, c in zip(*percentiles, strict=True))


def test_figure_3_has_a_row_an_arm_beside_the_papers_numbers(both, run):
    assert run(render.main, ["inception", *both]) == 0
    (path,) = Path(both[-1].removeprefix("results=")).glob("inception/smoke/figures/table.md")
    (arms,) = tables_of(path)
    assert [row[0] for row in arms[1:]] == ["Inception", "BN-x5"]
    assert [row[-2:] for row in arms[1:]] == [["31.0·10⁶", "72.2 %"], ["2.1·10⁶", "73.0 %"]]
    evidence = evidence_of("inception", both)
    best = evidence.run("bn_x5", 0)["best_test_accuracy"]
    assert arms[2][6].startswith(f"{100 * best:.2f}: ")
    assert arms[2][1] == "0.1 multiple of Inception's best"
    assert {row[3] for row in arms[1:]} == {"–"}  # Inception does not leave chance
    evidence.tables["runs"] = [{**run, "chance_accuracy": 0.0} for run in evidence.runs]
    _, speed = tables(evidence)
    assert [row[1] for row in speed[1:]] == ["bn_x5 : inception"] * 4
    assert len(drawn("inception", evidence)["figure-2"].axes) == 2


def test_a_plain_network_that_diverges_at_once_leaves_a_table(run, tmp_path):
    for variant in ("inception", "bn_x5"):
        arguments = [*SMOKE, f"variant={variant}", "optim.lr=1e30", f"results={tmp_path}"]
        assert run(main, arguments) == 0
    assert run(render.main, ["inception", *SMOKE, "optim.lr=1e30", f"results={tmp_path}"]) == 0
    (table,) = tmp_path.rglob("table.md")
    assert [row[8].startswith("non-finite at step") for row in tables_of(table)[0][1:]] == [
        True
    ] * 2
