"""`make claims`: the table of verdicts, chosen by words."""

import pytest

from bnrepro.cli import guard
from bnrepro.evidence.ledger import Ledger, beyond, correct, judged
from scripts import claims as script
from tests.drawing import more


@pytest.fixture(autouse=True)
def small_ledger(monkeypatch):
    """Two experiments, one without evidence, and the claims of none."""
    each = [*judged("transform"), *judged("covariate_shift")]
    ledger = correct(Ledger(each, beyond()))
    monkeypatch.setattr(script, "read_ledger", lambda: ledger)
    return ledger


def call(run, words=()):
    return run(lambda: guard(script.main), words)


def test_every_claim_has_a_row_with_paper_values_scale_and_figure(run, capsys, small_ledger):
    rows = {row[0]: row for row in script.claim_rows(small_ledger.verdicts)}
    assert rows.keys() - {"claim"} == {v.claim["id"] for v in small_ledger.verdicts}
    assert len({len(row) for row in rows.values()}) == 1
    moments = rows["transform-moments"]
    assert moments[2:] == [
        "Σ x̂ᵢ = 0, (1/m) Σ x̂ᵢ² = 1", "at most 4.44e-16 from 0 and 1", "5", "holds", "–",
        "transform/small/algorithm.png",
    ]  # fmt: skip
    assert rows["imagenet-steps"][5:] == ["not testable here", "–", "–"]
    assert call(run) == 0
    shown = capsys.readouterr().out
    assert f"Of {len(small_ledger.verdicts)} claims" in shown


@pytest.mark.parametrize(
    ("words", "count"),
    [(["transform", "fails"], 0), *more((["transform"], 6), (["4.2.3"], 2))],
)
def test_words_choose_claims(run, capsys, words, count):
    assert call(run, words) == (0 if count else 2)
    out, error = capsys.readouterr()
    assert sum(line.startswith(("│ transform-", "│ imagenet-")) for line in out.splitlines()) == (
        count
    )
    assert error.startswith("error: transform fails: no claim") == (count == 0)
