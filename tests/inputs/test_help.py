"""`--help`: what each option and each setting is, in words that can be typed."""

import importlib
import re

import pytest

from bnrepro.config.compose import compose, variants
from bnrepro.config.help import help_page
from bnrepro.errors import UserError
from bnrepro.experiment import stems
from tests.conftest import Run


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no line breaks."""
    monkeypatch.setenv("COLUMNS", "1000")


def described(page: str) -> dict[str, str]:
    """The options and settings of a page, and what it says of each."""
    joined = re.sub(r"\n {8,}", "  ", page)  # what stands below a long word
    lines = [line.strip() for line in joined.splitlines() if re.match(r"  [\w.]+=|  -", line)]
    return {word: text.strip() for word, _, text in (line.partition("  ") for line in lines)}


@pytest.mark.parametrize("stem", stems())
def test_every_option_and_setting_is_explained_in_words_that_can_be_typed(stem):
    page = help_page(stem)
    assert importlib.import_module(f"experiments.{stem}").__doc__.strip() in page
    said = described(page)
    assert [word for word, text in said.items() if not text] == []
    assert {f"variant={name}" for name in variants(stem)} <= said.keys()
    settings = [*described(page.partition("\nsettings")[2].partition("\noptions")[0])]
    assert len(settings) > 18
    whole = [word for word in settings if "…" not in word]
    assert len(whole) > len(settings) - 4
    assert compose(stem, whole) == compose(stem)


def test_the_page_has_the_values_that_the_overrides_give(run: Run, capsys):
    main = importlib.import_module("experiments.mnist.__main__").main
    assert run(main, ["scale=smoke", "-h", "optim.lr=3"]) == 0
    said = described(capsys.readouterr().out)
    assert said["optim.lr=3.0"] == "learning rate"
    assert said["data.name=synthetic"] == "of the data set, as data= names it"
    assert said["variant=bn"].startswith("4.1: the baseline with Batch Normalization")
    assert "-m" in said


def test_a_mistake_beside_the_question_is_one_line(run: Run, capsys):
    main = importlib.import_module("experiments.mnist.__main__").main
    assert run(main, ["--help", "optim.lrr=3"]) == 2
    assert "optim.lrr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stem", "override", "decides"),
    [
        ("gamma_beta", "optim.lr=0.1", "sweep.sigmoid.lr"),
        ("gamma_beta", "model.norm=batch", "sweep.sigmoid.arm"),
        ("learning_rate", "model.activation=relu", "sweep.sigmoid.activation"),
        ("speedup", "model.norm=batch", "regimes"),
        ("mnist_grid", "model.init_std=0.2", "grid.axes.init_std"),
        ("inception_grid", "optim.lr=0.2", "grid.axes.lr"),
    ],
)
def test_a_setting_that_something_else_decides_is_refused_and_not_listed(stem, override, decides):
    key = override.partition("=")[0]
    with pytest.raises(UserError, match=rf"{key}: has no effect here; {decides} decides it"):
        compose(stem, [override])
    assert f"  {key}=" not in help_page(stem)


def test_a_setting_that_only_some_blocks_sweep_has_an_effect():
    assert compose("optimizers", ["optim.batch=20"]).optim.batch == 20
