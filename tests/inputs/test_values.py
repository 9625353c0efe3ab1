"""Values of every key: each that makes no sense is one line, before anything is read or trained."""

import functools
from dataclasses import Field, fields, is_dataclass
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from bnrepro.config import compose, validate, variants
from bnrepro.config.rules import rule_of, validate_fields
from bnrepro.config.schema import seed_list, steps_of_grid
from bnrepro.errors import UserError
from bnrepro.experiment import stems
from bnrepro.explain import explain
from tests.drawing import more, some

HUGE = 10**400  # larger than any float
LONG = "a" * 300


@functools.cache
def smoke(stem: str) -> Any:
    """An experiment's smallest config, composed once."""
    return OmegaConf.structured(compose(stem, ["scale=smoke"]))


def line_of(stem: str, *overrides: str) -> str:
    """What the command would say to overrides of single values; empty where it would run."""
    node = smoke(stem).copy()
    try:
        for text in overrides:
            override = OverridesParser.create().parse_override(text)
            OmegaConf.update(node, override.key_or_group, override.value(), merge=False)
        validate(OmegaConf.to_object(node))
    except Exception as error:
        if (line := explain(error)) is None or "\n" in line:
            raise
        return line
    return ""


@pytest.mark.parametrize("stem", some(reversed(stems()), 8))
def test_every_scale_and_arm_that_is_shipped_is_allowed(stem):
    assert line_of(stem) == ""
    for arm in variants(stem):
        validate(compose(stem, [f"variant={arm}"]))


TOO_LARGE = [
    *("seeds=1000000000", "seeds=[9223372036854775808]", f"seeds=[{HUGE}]"),
    *("duration.steps=10000000000", f"duration.steps={HUGE}", "duration.examples=1000000000000"),
    *("duration.epochs=1e300", "duration.epochs=1e7", "model.hidden=[1000000000]"),
    *("model.hidden=[100000,100000]", "optim.batch=1000000000", "optim.lr=1e39", "threads=100000"),
    *("data.workers=100000", "data.size=100000", "data.validation=10000000000"),
    *("eval.probe_examples=100000000000", "checkpoint_every=10000000000", "model.init_std=1e100"),
    *("eval.grid=[[10000000000,1]]", "eval.grid=[[1000000000,1]]", "eval.grid=[[60,1000000]]"),
]


@pytest.mark.parametrize("override", TOO_LARGE)
def test_a_size_without_end_is_refused_before_it_eats_memory(override):
    line = line_of("mnist", override)
    assert override.split("=")[0].split(".")[-1] in line
    assert len(line) < 400


def test_sizes_that_are_too_large_together_are_refused_together():
    assert line_of("mnist", "optim.batch=1000", "model.hidden=[5000,5000]") == ""
    line = line_of("mnist", "optim.batch=1000", "model.hidden=[5000,5000]", "seeds=100")
    assert line.startswith("model.hidden=[5000, 5000], batch=1000, networks=100: together 4.1e+09")
    assert "networks=100000" in line_of("mnist_grid", "seeds=10000")  # ten cells of each seed


OF_OTHERS = [
    ("mnist_grid", "grid.jobs=100000", "at most 256"),
    ("mnist_grid", "grid.max_extensions=1000", "at most 20"),
    ("mnist_grid", "grid.finalists=10000000000", "at most"),
    ("inception", "model.width=1000", "at most 8"),
    ("inception", "model.projection_4cd=1000000", "at most"),
    ("inception", "pictures.shards=1000000000", "at most"),
    ("inception", "pictures.shift=1000000", "at most 4,096"),
    ("inception", "budget.steps=10000000000", "at most"),
    ("inception", "processes=10000000", "at most"),
    ("inception", "optim.batch=100000000", "at most"),
    ("bias_growth", "hidden=[100000,100000]", "in memory at once"),
    ("bias_growth", "batch=100000000", "at most"),
    ("bias_growth", "exact_examples=10000000", "at most"),
    ("jacobian", "widths=[50000]", "in memory at once"),
    ("jacobian", "hidden_layers=100000", "at most 1,000"),
    ("jacobian", "jacobian_examples=1000000", "at most"),
    ("placement", "conv_channels=[10000,10000]", "in memory at once"),
    ("placement", "exact_examples=1000000", "at most"),
    ("scale_invariance", "exact_units=10000", "in memory at once"),
    ("whitening", "hidden=[20000]", "in memory at once"),
    ("inference", "enumerated_values=1000", "in memory at once"),
    ("inference", "enumerated_batches=[50]", "at most 20"),
    ("inference", "population_examples=1000000", "in memory at once"),
]


@pytest.mark.parametrize(("stem", "override", "words"), OF_OTHERS)
def test_sizes_without_end_in_other_experiments(stem, override, words):
    assert words in line_of(stem, override)


def number_keys(section: Any, prefix: str = "") -> list[str]:
    """The keys of a config that hold one number."""
    found = []
    for name, value in vars(section).items():
        if is_dataclass(value):
            found += number_keys(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(prefix + name)
    return found


@pytest.mark.parametrize("stem", ["mnist", *more(*(s for s in stems() if s != "mnist"))])
def test_no_number_of_any_config_may_be_huge_tiny_negative_nan_or_minus_zero(stem):
    cfg = OmegaConf.to_object(smoke(stem))
    keys = number_keys(cfg)
    assert len(keys) > 3
    for key in keys:
        *sections, name = key.split(".")
        section = functools.reduce(getattr, sections, cfg)
        usual = getattr(section, name)
        for bad in (HUGE, 1e300, -1, float("nan"), float("inf"), -0.0, 1e-300):
            setattr(section, name, bad)
            with pytest.raises(UserError, match=key):
                validate(cfg)
        setattr(section, name, usual)


def all_fields(section: Any) -> list[Field[Any]]:
    """The fields of a config and of its sections."""
    inner = [value for value in vars(section).values() if is_dataclass(value)]
    return [*fields(section), *(field for each in inner for field in all_fields(each))]


@pytest.mark.parametrize("stem", stems())
def test_every_numeric_key_has_a_rule_with_an_end(stem):
    numeric = (int, float, list[int], list[float], int | None, float | None)
    found = [f for f in all_fields(OmegaConf.to_object(smoke(stem))) if f.type in numeric]
    assert found
    for field in found:
        assert rule_of(field).check is not None, field.name
        assert (rule_of(field).most or 0) <= 1e9, field.name


WRONG = [
    ("mnist_grid", "tensorboard=true", "tensorboard=true: this search writes no event files"),
    ("mnist", "seeds=5.0", "give a count (seeds=5)"),
    ("mnist", "seeds=true", "give a count"),
    ("mnist", "seeds=[true]", "give a count"),
    ("mnist", "seeds=[1,null]", "single value"),
    ("mnist", "seeds=null", "give a count"),
    ("mnist", "seeds='5'", "give a count"),
    ("mnist", "seeds=-1", "give a count"),
    ("mnist", "seeds=[3,3]", "names 3 twice"),
    ("mnist", "seeds=[-1]", "give a count"),
    ("mnist", "optim.lr=0", "optim.lr=0.0: must be greater than 0"),
    ("mnist", "optim.lr=true", "optim.lr"),
    ("mnist", "optim.lr=nan", "finite"),
    ("mnist", "optim.lr=-inf", "finite"),
    ("mnist", "optim.lr=null", "optim.lr=null: needs a value"),
    ("mnist", "optim.lr='???'", "optim.lr: has no value"),
    ("mnist", "optim.momentum=-0.0", "optim.momentum=-0.0: negative zero; write 0"),
    ("mnist", "optim.momentum=1", "between 0 and 1"),
    ("mnist", "model.eps=1e-310", "0 or at least 1e-30"),
    ("mnist", "duration.steps=1e3", "could not be converted to Integer"),
    ("mnist", "duration.steps=true", "duration.steps"),
    ("mnist", "model.hidden=100", "model.hidden"),
    ("mnist", "model.hidden=[1.5]", "model.hidden[0]"),
    ("mnist", "model.hidden=null", "model.hidden=null: needs a value"),
    ("mnist", "eval.grid=null", "eval.grid=null: needs a value"),
    ("mnist", "eval.grid=[]", "pairs [until, every]"),
    ("mnist", "eval.grid=[[]]", "pairs [until, every]"),
    ("mnist", "eval.grid=[[60,20,5]]", "pairs [until, every]"),
    ("mnist", "eval.grid=[[-10,5]]", "pairs [until, every]"),
    ("mnist", "eval.grid=[[20,5],[21,5]]", "no longer than its stretch"),
    ("mnist", "eval.grid=[[5,10]]", "no longer than its stretch"),
    ("mnist", "eval.probe_grid=[[60,7]]", "step 7 is not in eval.grid=[[20, 5], [60, 20]]"),
    ("mnist", "eval.probe_examples=1", "at least 2"),
    ("mnist", "device=meta", "allowed are auto, cpu, cuda, cuda:<number>, mps"),
    ("mnist", "device=xyz", "allowed are auto, cpu"),
    ("mnist", "device=cpu:99", "allowed are auto, cpu"),
    ("mnist", "device=''", "must not be empty"),
    ("mnist", "results=''", "must not be empty"),
    ("mnist", "results=' '", "must not be empty"),
    ("mnist", f"results=/x/{LONG}/y", "a name of 300 bytes; a disk takes 255"),
    ("mnist", f"data.root={LONG}", "a name of 300 bytes"),
    ("mnist", "results='a\nb'", "one line without control characters"),
    ("mnist", "wandb.project='a\tb'", "one line without control characters"),
    ("mnist", "data.name=''", "must not be empty"),
    ("mnist", "wandb.mode=on", "wandb.mode=on: allowed are auto, online"),
    ("inception", "model.dropout=1", "1 excluded"),
    ("inception", "pictures.photometric=5", "between 0 and 1"),
    ("inception", "pictures.shift=-1", "must not be negative"),
    ("inception", "budget.end_share=0", "at most 1"),
    ("mnist_grid", "data.validation=0", "would tune on the test set"),
    ("inception_grid", "data.validation=0", "would tune on the test set"),
    ("mnist_grid", "grid.factors.lr=1", "grid.factors.lr: give the factor"),
    ("mnist_grid", "grid.factors.lr=0.5", "grid.factors.lr: give the factor"),
    ("mnist_grid", "grid.factors.lr=1.001", "grid.factors.lr: give the factor"),
    ("mnist_grid", "grid.factors.lr=nan", "grid.factors.lr: give the factor"),
    ("mnist_grid", "grid.factors={lr:2,init_std:2,eps:2}", "grid.factors.eps: no such axis"),
    ("mnist_grid", "grid.axes={}", "grid.axes: name at least one"),
    ("mnist_grid", "grid.axes.lr=[0.1,0.1]", "names 0.1 twice"),
    ("mnist_grid", "grid.axes.lr=[0.1,0.10000001]", "names 0.1 twice"),
    ("mnist_grid", "grid.axes.lr=[0.1,true]", "each must be greater than 0"),
    ("mnist_grid", "grid.axes.lr=[a]", "each must be greater than 0"),
    ("mnist_grid", "grid.axes.lr=[nan]", "each must be greater than 0"),
    ("mnist_grid", "grid.axes.lr=[inf]", "finite"),
    ("mnist_grid", "grid.axes.lr=0.1", "as a list"),
    ("mnist_grid", "grid.short=0.0001", "less than one step"),
    ("inception_grid", "grid.short=0.001", "less than one step"),
    ("bias_growth", "lr=[0.1,0.1]", "names 0.1 twice"),
    ("bias_growth", "every=[1,1]", "names 1 twice"),
    ("bias_growth", "activations=[relu,relu]", "names relu twice"),
    ("bias_growth", "activations=[tanh]", "allowed are sigmoid, relu"),
    ("bias_growth", "stops=[5,5]", "must rise"),
    ("bias_growth", "exact_examples=1", "at least 2"),
    ("bias_growth", "exact_record_every=1000", "more than exact_steps=40"),
    ("jacobian", "jacobian_examples=1000", "not more"),
    ("whitening", "tuning_seed=1", "tuning_seed=1: one of seeds=2, which are reported"),
    ("mnist", "model.bn_momentum=0", "greater than 0"),
    ("inception", "model.bn_momentum=0", "greater than 0"),
    ("jacobian", "widths=[1]", "each must be at least 2"),
    ("jacobian", "hidden_layers=1", "at least 2"),
    ("placement", "hidden=[20]", "give two"),
    ("placement", "conv_kernel=4", "must be odd"),
    ("placement", "conv_kernel=31", "nothing is left of an image"),
    ("placement", "conv_channels=[4,4,4,4]", "nothing is left of an image"),
    ("inference", "stops=[1,600]", "less than a step of 128"),
    ("inference", "regroupings=1", "at least 2"),
    ("scale_invariance", "exact_scales=[1e-200]", "0 or at least 1e-30"),
]


@pytest.mark.parametrize(("stem", "override", "words"), WRONG)
def test_a_value_that_makes_no_sense_is_one_line_that_names_its_key(stem, override, words):
    line = line_of(stem, override)
    assert words in line
    assert override.split("=")[0].split(".")[0] in line


def test_a_list_that_is_printed_is_shortened():
    line = line_of("mnist", f"seeds={[*range(500), 0]}".replace(" ", ""))
    assert "names 0 twice" in line
    assert len(line) < 200


ALLOWED = [
    ("mnist", "seeds=[9223372036854775807]"),
    ("mnist", "seeds=1000"),
    ("mnist", "results=/data/фото [1]=~{x}/y"),
    ("mnist", "optim.momentum=0"),
    ("mnist", "optim.lr=1e38"),
    ("mnist", "model.eps=0"),
    ("mnist", "device=cuda:1"),
    ("mnist", "threads=null"),
    ("inception", "pictures.photometric=1"),
    ("inception_grid", "grid.max_extensions=0"),
    ("jacobian", "lr=[0.1,0.1]"),
    ("placement", "exact_eps=[0]"),
]


@pytest.mark.parametrize(("stem", "override"), ALLOWED)
def test_what_is_unusual_and_makes_sense_is_allowed(stem, override):
    key, value = override.split("=", 1)
    quoted = f"{key}='{value}'" if key == "results" else override
    assert line_of(stem, quoted) == ""


def test_a_grids_stops_are_counted_before_they_are_listed():
    assert steps_of_grid([[100, 50]], 180) == [50, 100, 150, 180]
    assert len(steps_of_grid([[1, 1]], 1_000_000)) == 1_000_000
    with pytest.raises(UserError, match="1,000,000,000 stops in 1,000,000,000 steps"):
        steps_of_grid([[1, 1]], 1_000_000_000)


def test_seeds_up_to_the_largest_are_listed():
    assert seed_list(10_000) == list(range(10_000))
    assert seed_list([2**63 - 1, 0]) == [2**63 - 1, 0]
    with pytest.raises(UserError, match="at most 10,000"):
        seed_list(10_001)


def test_a_key_that_the_schema_does_not_have_is_named():
    cfg = OmegaConf.to_object(smoke("mnist"))
    cfg.learning_rate = 1
    with pytest.raises(UserError, match="learning_rate: no such key; allowed here are experiment"):
        validate_fields(cfg)
