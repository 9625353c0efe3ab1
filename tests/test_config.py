"""Configs: every shipped one is valid, variants differ as they say, mistakes are named."""

from dataclasses import dataclass

import pytest

from bnrepro import ROOT
from bnrepro.cli import explain
from bnrepro.config import compose, validate, variants
from bnrepro.config.identity import config_hash, folder_name, numbers
from bnrepro.config.rules import not_negative, setting
from bnrepro.config.schema import DurationConfig, seed_list
from bnrepro.errors import UserError
from bnrepro.evidence import load
from bnrepro.experiment import stems
from experiments.mnist import MnistConfig
from experiments.mnist.__main__ import main
from tests.drawing import some

SHIPPED = [
    (stem, path.parent.name, path.stem)
    for stem in stems()
    for path in sorted((ROOT / "configs" / stem).glob("*/*.yaml"))
]


@pytest.mark.parametrize(("experiment", "group", "name"), some(SHIPPED, 5))
def test_every_shipped_file_composes_and_carries_its_name(experiment, group, name):
    cfg = compose(experiment, [f"{group}={name}"])
    validate(cfg)
    assert getattr(cfg, group) == name
    assert cfg.experiment == experiment


def differences(a: dict, b: dict, prefix: str = "") -> set[str]:
    found = set()
    for key in a:
        if isinstance(a[key], dict):
            found |= differences(a[key], b[key], f"{prefix}{key}.")
        elif a[key] != b[key]:
            found.add(prefix + key)
    return found


def test_bn_differs_from_the_baseline_in_the_norm_alone():
    arms = {v: numbers(compose("mnist", [f"variant={v}"])) for v in variants("mnist")}
    assert differences(arms["baseline"], arms["bn"]) == {"model.norm"}


def test_the_paper_scale_is_the_papers():
    cfg = compose("mnist", [])
    assert (cfg.scale, cfg.duration.steps, cfg.optim.batch) == ("paper", 50_000, 60)
    assert (cfg.model.hidden, cfg.model.activation) == ([100, 100, 100], "sigmoid")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["optim.lrr=1"], ["optim.lrr", "no such key", "did you mean lr?", "momentum"]),
        (["optim.lr=fast"], ["optim.lr", "fast", "Float"]),
        (["rate=1"], ["rate", "no such key", "optim"]),
        (["variant=bnn"], ["variant/bnn", "baseline"]),
        (["scale=huge"], ["scale/huge", "smoke"]),
        (["duration.epochs=3"], ["duration", "exactly one", "duration.steps=50000", "null"]),
        (["duration.steps=null"], ["duration", "exactly one", "no unit"]),
        (["duration.steps=0"], ["duration.steps=0", "greater than 0"]),
        (["optim.batch=0"], ["optim.batch=0", "greater than 0"]),
        (["variant=bn", "optim.batch=1"], ["optim.batch=1", "no variance"]),
        (["seeds=[1,1]"], ["seeds=[1, 1]", "twice"]),
        (["seeds=0"], ["seeds=0", "seeds=[3,4]"]),
        (["seeds=[-1]"], ["seeds=[-1]"]),
        (["model.norm=layer"], ["model.norm=layer", "none, batch"]),
        (["optim.momentum=2"], ["optim.momentum=2", "between 0 and 1"]),
        (["eval.grid=[[10,0]]"], ["eval.grid", "until, every"]),
        (["wandb.mode=on"], ["wandb.mode", "offline"]),
        (["+foo=1"], ["foo", "no such key", "optim"]),
        (["+optim.decay=1"], ["optim.decay", "no such key", "momentum"]),
        (["model.hidden=[]"], ["model.hidden=[]", "at least one"]),
        (["optim.lr=inf"], ["optim.lr=inf", "finite"]),
        (["variant=bnn"], ["variant", "bnn"]),
        (["model.hidden=[100,0]"], ["model.hidden=[100, 0]", "greater than 0"]),
    ],
)
def test_a_mistake_is_one_line_that_names_key_and_remedy(overrides, words):
    with pytest.raises(Exception) as caught:
        validate(compose("mnist", overrides))
    line = explain(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_an_experiment_s_name_as_a_key_is_one_line(run, capsys):
    assert run(main, ["scale=smoke", "jacobian=1"]) == 2
    assert capsys.readouterr().err == (
        "error: a key names an experiment, not a setting; give its section, as in optim.lr=0.1\n"
    )


@pytest.mark.parametrize(
    ("experiment", "override", "words"),
    [
        ("inception", "budget.steps=1", "budget.steps=1: must be at least budget.fast"),
        ("inception", "model.projection_4cd=0", "greater than 0"),
        ("inception_grid", "+grid.axes.fast=[1]", "grid.factors.fast: give the factor"),
        ("inception_grid", "grid.factors.lr=0.5", "grid.factors.lr: give the factor"),
        ("mnist_grid", "grid.short=2", "grid.short=2.0: must be greater than 0 and at most 1"),
        ("bias_growth", "every=[0]", "every=.* each must be greater than 0"),
        ("bias_growth", "activations=[]", "activations=.* at least one"),
        ("inference", "batches=[1]", "batches=.* at least 2"),
        ("inference", "bn_momentum=3", "bn_momentum=3.0: must be greater than 0 and at most 1"),
        ("jacobian", "lr=[0.1]", "lr=.* as many as activations"),
        ("jacobian", "stops=[5,1]", "stops=.* must rise"),
        ("jacobian", "variant=typo", "variant=typo: allowed are sweep"),
        ("placement", "shape_lr=0.7", "shape_lr=0.7: must be one of"),
        ("whitening", "cost_repeats=[1]", "cost_repeats=.* as many as cost_widths"),
    ],
)
def test_mistakes_in_other_experiments(experiment, override, words):
    scale = ["variant=bn_x5", "budget.fast=6"] if experiment == "inception" else []
    with pytest.raises(UserError, match=words):
        validate(compose(experiment, [*scale, override]))


def test_seeds_are_a_count_or_a_list():
    assert seed_list(3) == [0, 1, 2]
    assert seed_list([4, 0]) == [4, 0]
    for bad in (True, "3", [1.5], []):
        with pytest.raises(UserError):
            seed_list(bad)


def test_the_folder_is_the_variants_name_until_something_that_counts_is_overridden():
    assert folder_name(compose("mnist", ["variant=bn"]), "mnist") == "bn"
    neutral = ["variant=bn", "seeds=2", "threads=1", "wandb.mode=disabled", "checkpoint_every=9"]
    assert folder_name(compose("mnist", neutral), "mnist") == "bn"
    changed = folder_name(compose("mnist", ["variant=bn", "optim.lr=0.123"]), "mnist")
    assert changed.startswith("bn-")
    assert changed != folder_name(compose("mnist", ["variant=bn", "optim.lr=0.124"]), "mnist")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("grid.axes.lr=[]", ["grid.axes.lr=[]", "at least one"]),
        ("grid.axes.lr=[0.1,-1]", ["grid.axes.lr", "greater than 0"]),
        ("grid.short=0", ["grid.short=0", "greater than 0"]),
        ("grid.max_extensions=-1", ["grid.max_extensions=-1", "must not be negative"]),
        ("grid.finalists=0", ["grid.finalists=0", "greater than 0"]),
        ("duration.steps=null", ["duration", "exactly one"]),
        ("duration.steps=0", ["duration.steps=0", "greater than 0"]),
    ],
)
def test_mistakes_in_a_grid(override, words):
    with pytest.raises(UserError) as caught:
        validate(compose("mnist_grid", [override]))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("experiment", "key", "words"),
    [
        ("mnist_grid", "momentum", r"grid\.axes\.momentum: no such key.* lr, init_std"),
        ("inception_grid", "momentum", r"grid\.axes: lr, momentum: give one of lr, fast"),
        ("inception_grid", "fast", r"grid\.axes: lr, fast: give one of lr, fast"),
    ],
)
def test_a_search_over_a_key_that_it_does_not_know(experiment, key, words):
    axis = [f"+grid.axes.{key}=[1,2]", f"+grid.factors.{key}=2"]
    with pytest.raises(UserError, match=words):
        validate(compose(experiment, axis))


def test_a_duration_below_one_step_is_an_error():
    assert DurationConfig(examples=60).in_steps(60, 600) == 1
    for short in (DurationConfig(examples=59), DurationConfig(epochs=0.01)):
        with pytest.raises(UserError, match="shorter than one step of 60 examples"):
            short.in_steps(60, 600)


@pytest.mark.parametrize("sweep", ["mnist_grid", "placement"])
def test_a_sweep_with_other_seeds_is_another_record(sweep):
    named = compose(sweep, [])
    assert folder_name(named, named.data.name) == named.variant
    same = compose(sweep, [f"seeds={seed_list(named.seeds)}"])
    assert folder_name(same, named.data.name) == named.variant
    other = compose(sweep, ["seeds=[8,9]"])
    assert folder_name(other, named.data.name).startswith(f"{named.variant}-")


def test_the_speed_of_a_fast_decay_is_no_part_of_an_arm_that_decays_plainly():
    for variant, same in (("inception", True), ("bn_baseline", True), ("bn_x5", False)):
        one, other = (
            compose("inception", [f"variant={variant}", f"budget.fast={f}"]) for f in (1, 3)
        )
        assert (numbers(one) == numbers(other)) == same


def test_a_subset_of_the_data_never_passes_for_the_set():
    cfg = compose("mnist", ["variant=bn"])
    assert folder_name(cfg, "mnist-5k") == "bn-mnist-5k"
    assert config_hash(cfg, "a") != config_hash(cfg, "b")


def test_the_hash_ignores_what_leaves_the_numbers_as_they_are():
    base = config_hash(compose("mnist", []), "x")
    neutral = [
        "seeds=[7]",
        "device=cpu",
        "threads=2",
        "data.root=x",
        "results=x",
        "force=true",
    ]
    assert config_hash(compose("mnist", neutral), "x") == base
    for changed in ("optim.lr=0.9", "model.eps=1e-3", "duration.steps=10", "eval.probe_examples=5"):
        assert config_hash(compose("mnist", [changed]), "x") != base


def test_the_tuned_settings_are_the_grids_winners():
    chosen = {run["variant"]: run for run in load("mnist_grid", "paper").runs}
    pairs = [("baseline", "baseline"), ("bn", "baseline"), ("bn_tuned", "bn")]
    for variant, arm in [*pairs, ("baseline_tuned", "baseline_tuned")]:
        cfg = compose("mnist", [f"variant={variant}"])
        assert cfg.optim.lr == chosen[arm]["lr"]
        if cfg.model.init == "normal":
            assert cfg.model.init_std == chosen[arm]["init_std"]
    assert not any(run["at_edge"] for run in chosen.values())


def test_the_small_scales_rate_and_decay_are_the_searches_winners():
    chosen = {run["variant"]: run for run in load("inception_grid", "small").runs}
    cfg = compose("inception", ["scale=small"])
    assert cfg.optim.lr == chosen["rate"]["value"]
    assert cfg.budget.fast == chosen["fast"]["value"]
    assert chosen["rate"]["at_edge"] is False


@dataclass
class YoungerConfig(MnistConfig):
    """The config of `mnist` with keys that are younger than its runs."""

    share: float = setting(0.5, not_negative)
    engine: str | None = setting(None)


@dataclass
class ListedConfig(MnistConfig):
    """The same with a key whose default is a list."""

    places: list[int] = setting([1, 2])


@pytest.mark.parametrize(
    ("schema", "key", "value"),
    [
        (YoungerConfig, "share", 0.6),
        (YoungerConfig, "engine", "x"),
        (ListedConfig, "places", [1]),
    ],
)
def test_a_new_key_changes_the_hash_only_where_it_differs_from_its_default(schema, key, value):
    before = compose("mnist", ["variant=bn"])
    cfg = schema(**vars(before))
    assert config_hash(cfg, "x") == config_hash(before, "x")
    setattr(cfg, key, value)
    assert config_hash(cfg, "x") != config_hash(before, "x")


def test_keys_with_defaults_are_in_the_hash_only_where_they_differ():
    usual = compose("inception", ["variant=bn_x5"])
    assert "sync_bn" not in numbers(usual)
    assert "eps" not in numbers(usual)["model"]
    assert numbers(compose("mnist", []))["model"]["eps"] == 1e-5  # without a default
    for changed in ("model.eps=1e-3", "sync_bn=true", "processes=2", "precision=bf16"):
        other = compose("inception", ["variant=bn_x5", changed])
        assert config_hash(other, "x") != config_hash(usual, "x"), changed
        assert folder_name(other, "fashion_mnist").startswith("bn_x5-")


def test_plain_values_are_those_that_hydra_would_fill_in():
    plain = ["seeds=3", "threads=2", "results=/tmp/a", "wandb.mode=offline"]
    quoted = ["++seeds=3", "++threads=2", "results='/tmp/a'", "++wandb.mode=offline"]
    assert compose("mnist", ["variant=bn", *plain]) == compose("mnist", ["variant=bn", *quoted])
    assert compose("mnist", ["seeds=3", "seeds=[4]"]).seeds == [4]  # the last one, as Hydra has it
    for seeds in (2, 3):
        cfg = compose("mnist", ["optim.batch=${seeds}", f"seeds={seeds}"])
        assert (cfg.seeds, cfg.optim.batch) == (seeds, seeds)
    assert compose("mnist", ["wandb.mode=disabled", "wandb={mode:online}"]).wandb.mode == "online"
    with pytest.raises(Exception, match="seeds"):
        compose("mnist", ["~seeds", "seeds=4"])
