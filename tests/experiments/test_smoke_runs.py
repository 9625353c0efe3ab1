"""Every sweep's smoke run leads to published evidence, values of its claims, figures, and words."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from bnrepro.config import compose
from bnrepro.config.claims import metric, read_claims
from bnrepro.evidence.evidence import Evidence, read, write
from bnrepro.evidence.verdicts import judge
from bnrepro.experiment import find
from bnrepro.plots.render import render
from bnrepro.run.record import read_summary
from experiments.bias_growth.measure import cells as bias_cells
from experiments.initialization import CASES
from experiments.initialization.tables import CASE_NAMES
from experiments.placement.measure import ARMS as PLACEMENTS
from experiments.scale_invariance.measure import cells as scale_cells
from tests.drawing import call, drawn, evidence_of, legend, more, tables_of

FAIL = ("architecture-widths", "architecture-parameters")  # claims on the paper's own table
SMOKE = ["scale=smoke"]
Tables = list[list[list[str]]]


class Run(NamedTuple):
    """What is known of a smoke run beforehand."""

    answer: str  # words of it
    claims: Mapping[str, Any] = {}  # keys that have other values at this scale
    whole: bool = False  # no claim lacks a value


RUNS = {
    "amplification": Run("layer 3"),
    "architecture": Run("4c (608, not 576)"),
    "bias_growth": Run("BN blows up in"),
    "covariate_shift": Run("times as far with BN", whole=True),
    "gamma_beta": Run("between −2 and 2"),
    "inference": Run("its batch-mates", whole=True),
    "initialization": Run("decades with BN"),
    "jacobian": Run("%", {"width": 12}),
    "optimizers": Run("Adagrad, 30 steps"),
    "placement": Run("distance to a Gaussian", whole=True),
    "regularization": Run("without BN it is", {"images": 400, "group": 32}, whole=True),
    "scale_invariance": Run("eight decades"),
    "transform": Run("over 2 draws", whole=True),
    "whitening": Run("test accuracy"),
}
OFTEN = ("amplification", "architecture", "gamma_beta", "inference", "initialization", "jacobian",
         "optimizers")  # fmt: skip


@pytest.mark.parametrize("stem", [*OFTEN, *more(*(stem for stem in RUNS if stem not in OFTEN))])
def test_a_smoke_run_ends_in_values_figures_tables_and_an_answer(stem, tmp_path):
    arguments = [*SMOKE, f"results={tmp_path}"]
    call(import_module(f"experiments.{stem}.__main__").main, arguments)
    assert (read_summary(tmp_path / stem / "smoke/sweep") or {})["status"] == "ok"
    write(evidence_of(stem, arguments), tmp_path / "published")
    evidence, known = read(tmp_path / "published"), RUNS[stem]
    for claim in read_claims(stem):
        here = {**claim, **{k: v for k, v in known.claims.items() if k in claim}, "n": 2}
        values, verdict = metric(here)(evidence, here), judge(here, evidence, "smoke").verdict
        assert values or not known.whole, claim["id"]
        assert None not in values or not known.whole, claim["id"]
        if claim["kind"] == "exact":
            assert verdict == ("fails" if claim["id"] in FAIL else "holds"), claim["id"]
    names = find(stem).figures.FIGURES
    paths = render(find(stem), evidence, tmp_path / "figures")
    files = {f"{name}.{kind}" for name in names for kind in ("png", "svg")} | {"table.md"}
    assert {path.name for path in paths} == files
    assert all(path.stat().st_size > 500 for path in paths if path.suffix != ".md")
    assert known.answer in find(stem).figures.answer(evidence)
    if stem in CHECKS:
        CHECKS[stem](evidence, tables_of(tmp_path / "figures/table.md"))


def amplification(evidence: Evidence, tables: Tables) -> None:
    (figure,) = drawn("amplification", evidence).values()
    assert [axis.get_title() for axis in figure.axes] == ["sigmoid", "ReLU"]
    assert all(len(axis.get_lines()) == 2 * 2 * 2 for axis in figure.axes)  # arms, kinds, seeds
    assert [len(table) for table in tables] == [1 + 2 * 2]


def architecture(evidence: Evidence, tables: Tables) -> None:
    (row,) = [row for row in tables[0] if row[0] == "4e"]
    assert row[1:4] == ["14×14×1024", "7×7×1056", "7×7×1024"]


def bias_growth(evidence: Evidence, tables: Tables) -> None:
    numbers = {row["cell"] for row in (*evidence.exact, *evidence.training)}
    assert numbers == set(range(1, len(bias_cells(compose("bias_growth", SMOKE))) + 1))


def gamma_beta(evidence: Evidence, tables: Tables) -> None:
    (figure,) = drawn("gamma_beta", evidence).values()
    names = ["without BN", "with BN", "with BN, γ = 1 and β = 0"]
    assert [line[0] for line in tables[0][1:]] == legend(figure.axes[0]) == names


def inference(evidence: Evidence, tables: Tables) -> None:
    assert {row["m"] for row in evidence.accuracy} == {2, 32, 128}
    assert any("float64" in cell for table in tables for row in table for cell in row)


def initialization(evidence: Evidence, tables: Tables) -> None:
    assert {len(evidence.sigmoid), len(evidence.relu)} == {2 * 3 * 2 * 2 * 2}
    assert len(evidence.cases_relu) == 2 * len(CASES) * 2 * 2 * 2
    assert {row["step"] for row in evidence.plateau} == {10, 20, 30}
    bad = drawn("initialization", evidence)["bad-starts"].axes[0].get_yticklabels()
    assert [tick.get_text() for tick in bad] == [CASE_NAMES[case] for case in CASES[1:]]


def jacobian(evidence: Evidence, tables: Tables) -> None:
    rows = evidence.network
    assert all(row["share"] + row["below"] + row["above"] == pytest.approx(1) for row in rows)


def optimizers(evidence: Evidence, tables: Tables) -> None:
    (figure,) = drawn("optimizers", evidence).values()
    names = ["gradient descent on all images", "Adagrad", "SGD on mini-batches"]
    assert [axis.get_title() for axis in figure.axes] == names
    assert [len(table) for table in tables] == [1 + 3 * 2]


def placement(evidence: Evidence, tables: Tables) -> None:
    assert {row["arm"] for row in evidence.accuracy} == set(PLACEMENTS)


def scale_invariance(evidence: Evidence, tables: Tables) -> None:
    numbers = {row["cell"] for row in (*evidence.exact, *evidence.training)}
    assert numbers == set(range(1, len(scale_cells(compose("scale_invariance", SMOKE))) + 1))


def whitening(evidence: Evidence, tables: Tables) -> None:
    # arms and ridges at three mini-batches, seeds, stops
    assert len(evidence.training) == (4 + 2 + 2 + 2 + 3) * 2 * 4
    assert {row["seed"] for row in evidence.tuning} == {1000}
    trained, tuned = (
        {(row["arm"], row["lr"]) for row in table} for table in (evidence.training, evidence.tuning)
    )
    assert trained <= tuned
    small, main_batch = (
        [row["ratio"] for row in evidence.where("spectrum", batch=batch)] for batch in (4, 32)
    )
    assert max(small) < 1e-12 < 1e-4 < min(main_batch)


CHECKS: dict[str, Callable[[Evidence, Tables], None]] = {  # what a run has of its own
    check.__name__: check
    for check in (
        amplification, architecture, bias_growth, gamma_beta, inference, initialization, jacobian,
        optimizers, placement, scale_invariance, whitening,
    )
}  # fmt: skip
