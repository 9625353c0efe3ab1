"""README, REPORT and claims.json say what the committed evidence says, to the letter."""

import pytest

from bnrepro.claims import criteria_hash, read_claims
from bnrepro.config import ROOT
from bnrepro.report import reporter
from scripts.report import documents

DOCUMENTS = documents()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_what_the_script_writes(path):
    assert (ROOT / path).read_text() == DOCUMENTS[path], "run `make report` and commit"


def published() -> list[tuple[str, str]]:
    """Experiment and scale of every published evidence that claims are judged on."""
    experiments = {claim["experiment"] for claim in read_claims()}
    folders = (ROOT / "results").glob("*/*/table.md")
    pairs = [(path.parent.parent.name, path.parent.name) for path in folders]
    return sorted((e, s) for e, s in pairs if e in experiments)


@pytest.mark.parametrize(("experiment", "scale"), published())
def test_criteria_are_those_the_runs_were_made_under(experiment, scale):
    evidence = reporter(experiment).read(ROOT / "results" / experiment / scale)
    rows = evidence.runs if hasattr(evidence, "runs") else [evidence.provenance]
    assert {row["criteria_hash"] for row in rows} == {criteria_hash(experiment)}
    assert {row["dirty"] for row in rows} == {False}


def test_the_published_files_stay_small():
    folders = [path.parent for path in (ROOT / "results").glob("*/*/table.md")]
    sizes = [p.stat().st_size for f in folders if "runs" not in f.parts for p in f.iterdir()]
    assert len(sizes) > 10
    assert sum(sizes) < 20_000_000
    assert max(sizes) < 1_000_000
