"""What judging stumbles over is found before training: claims.yaml, metrics, folders."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from bnrepro import ROOT, experiment
from bnrepro.config import claims
from bnrepro.errors import UserError
from bnrepro.experiment import Experiment, find
from bnrepro.explain import explain
from experiments.mnist.__main__ import main
from tests.drawing import some

CLAIM = """
- id: faster
  section: "4.1"
  claim: It is faster.
  paper: curves
  metric: log_steps_ratio
  arm: bn
  against: baseline
  criterion: {over: interval, op: ">", value: 0}
  n: 5
  kind: statistical
"""
CONDITION = """
  provided: {metric: log_steps_ratio, arm: bn, criterion: {over: every, op: ">", value: 0}}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Give `mnist` another claims.yaml."""
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    claims.criteria.cache_clear()

    def write(content: str | bytes) -> None:
        path = tmp_path / "configs/mnist/claims.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    yield write
    claims.criteria.cache_clear()


BROKEN = [
    ("- id: [", "line 2: no YAML"),
    ("\tid: x", "no YAML"),
    ("", "must be a list of claims"),
    ("id: x", "must be a list of claims"),
    ("- x", "1: must be a mapping"),
    (CLAIM.replace("- id: faster\n  section", "- section"), "claim 1: has no id"),
    (CLAIM.replace("  metric: log_steps_ratio\n", ""), "faster: has no metric"),
    (CLAIM.replace("  n: 5\n", ""), "faster: has no n"),
    (CLAIM.replace("n: 5", "n: five"), "faster: n: five: must be a number of seeds"),
    (CLAIM.replace("n: 5", "n: 0"), "faster: n: 0"),
    (CLAIM.replace("over: interval", "over: some"), "faster: criterion"),
    (CLAIM.replace('op: ">"', 'op: "="'), "faster: criterion"),
    (CLAIM.replace("value: 0}", "value: zero}"), "faster: criterion"),
    (CLAIM.replace('{over: interval, op: ">", value: 0}', "1"), "faster: criterion 1: must be"),
    (CLAIM.replace("against:", "againts:"), "faster: againts: no such key; did you mean against?"),
    (CLAIM.replace("paper:", "papers:"), "faster: has no paper"),
    (
        CLAIM + "  untestable: why\n",
        "faster: untestable, so that metric, criterion, n decides nothing",
    ),
    (CLAIM.replace("kind:", "untestible:"), "faster: has no kind"),
    (CLAIM + "  untestible: why\n", "faster: untestible: no such key; did you mean untestable?"),
    (CLAIM + CLAIM, "faster: two claims have this id"),
    (CLAIM.encode() + b"\xff", "claims.yaml: not text in UTF-8"),
    (
        CLAIM.replace("log_steps_ratio", "log_step_ratio"),
        "faster: metric: log_step_ratio: no such function in experiments/mnist/metrics.py; did you "
        "mean log_steps_ratio",
    ),
    (CLAIM.replace("log_steps_ratio", "Evidence"), "metric: Evidence: no such function"),
    (CLAIM.replace("arm: bn", "arm: bnn"), "faster: arm: bnn: no such arm; there are baseline"),
    (CLAIM.replace("against: baseline", "against: x"), "faster: against: x: no such arm"),
    (CLAIM + "  provided: {metric: x, arm: bn}", "faster: provided: {'metric': 'x', 'arm': 'bn'}"),
    (CLAIM + CONDITION.replace('">"', '"="'), "faster: provided: criterion"),
    (CLAIM + CONDITION.replace("arm: bn", "arm: x"), "faster: arm: x: no such arm"),
    (
        CLAIM + CONDITION.replace("log_", "lag_"),
        "faster: metric: lag_steps_ratio: no such function",
    ),
]


@pytest.mark.parametrize(("content", "words"), some(BROKEN, 4))
def test_a_broken_claims_file_is_one_line_before_training(
    written, run, monkeypatch, capsys, tmp_path, content, words
):
    written(content)
    started = []
    measure = SimpleNamespace(run=started.append)
    monkeypatch.setattr(Experiment, "measure", property(lambda _: measure))
    assert run(main, ["scale=smoke", f"results={tmp_path}"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: configs/mnist/claims.yaml:") or "UTF-8" in line
    assert words in line
    assert not started


def test_a_whole_claims_file_is_accepted(written):
    written(CLAIM)
    claims.check_claims(find("mnist"))
    assert [claim["id"] for claim in claims.read_claims("mnist")] == ["faster"]


def test_a_record_holds_the_criteria_that_were_fixed_before_its_run(written):
    written(CLAIM)
    claims.check_claims(find("mnist"))
    before = claims.criteria("mnist")
    written(CLAIM.replace("value: 0}", "value: 1}"))
    assert claims.criteria("mnist") == before
    changed = claims.criterion_hash(claims.read_claims("mnist")[0])
    assert changed != before["faster"]


@pytest.mark.parametrize("declared", [None, "mnist", Experiment])
def test_a_folder_without_an_experiment_is_named(monkeypatch, declared):
    module = ModuleType("experiments.hollow")
    if declared is not None:
        module.EXPERIMENT = find("mnist") if declared == "mnist" else declared
    monkeypatch.setitem(sys.modules, "experiments.hollow", module)
    monkeypatch.setattr(experiment, "stems", lambda: ["hollow", "mnist"])
    with pytest.raises(UserError, match=r"experiments/hollow/__init__.py: must define EXPERIMENT"):
        experiment.find("hollow")


def test_an_arm_that_bears_the_name_of_another_is_named(run, tmp_path, capsys):
    copied = (ROOT / "configs/mnist/variant/bn.yaml").read_text("utf-8")
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/mine.yaml").write_text(copied, "utf-8")
    words = ["--config-dir", str(tmp_path), "variant=mine", "scale=smoke", f"results={tmp_path}"]
    assert run(main, words) == 2
    assert "variant: bn: the file of variant=mine must name itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"# @package _global_\nvariant: mine\nmodel: {norm: batch\n",
            "mine.yaml: line 4: no YAML (",
        ),
        (
            b"variant: mine\n",
            "variant/mine.yaml: must begin with `# @package _global_`, and then `var",
        ),
        (b"", "variant/mine.yaml: must begin with `# @package _global_`, and then `variant: mine`"),
        (
            b"# @package _global_\nvariant: mine\nmodle: {}\n",
            "'variant/mine': ConfigKeyError",
        ),
    ],
)
def test_a_mistake_in_the_file_of_an_arm_is_one_line(run, tmp_path, capsys, content, said):
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/mine.yaml").write_bytes(content)
    words = ["--config-dir", str(tmp_path), "variant=mine", "scale=smoke", f"results={tmp_path}"]
    assert run(main, words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_a_config_file_that_is_no_utf_8_is_named(monkeypatch, tmp_path):
    (tmp_path / "configs/mnist").mkdir(parents=True)
    (tmp_path / "configs/mnist/odd.yaml").write_bytes(b"a: \xff\n")
    monkeypatch.setattr("bnrepro.explain.ROOT", tmp_path)
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    assert "configs/mnist/odd.yaml: not text in UTF-8" in str(explain(error))
    (tmp_path / "configs/mnist/odd.yaml").unlink()
    assert explain(error) is None  # of some other file
