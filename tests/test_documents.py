"""README, REPORT and claims.json say what the committed evidence says, to the letter."""

import pytest

from bnrepro.config import ROOT, compose
from bnrepro.config.claims import criteria_hash
from bnrepro.config.identity import config_hash
from bnrepro.plots.render import reporter, tables
from scripts.publish import provenance
from scripts.report import documents

DOCUMENTS = documents()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_what_the_script_writes(path):
    assert (ROOT / path).read_text() == DOCUMENTS[path], "run `make report` and commit"


PUBLISHED = sorted((p.parts[-3], p.parts[-2]) for p in (ROOT / "results").glob("*/*/table.md"))


@pytest.mark.parametrize(("experiment", "scale"), PUBLISHED)
def test_evidence_comes_from_the_named_config_and_criteria(experiment, scale):
    evidence = reporter(experiment).read(ROOT / "results" / experiment / scale)
    for row in provenance(evidence):
        cfg = compose(experiment, [f"scale={scale}", f"variant={row['variant']}"])
        if hasattr(cfg, "processes"):
            cfg.processes = row.get("processes") or 1
        assert row["config_hash"] == config_hash(cfg, row["data_checksum"]), row["variant"]
        assert row.get("criteria_hash", criteria_hash(experiment)) == criteria_hash(experiment)
        assert row["dirty"] is False


@pytest.mark.parametrize(("experiment", "scale"), PUBLISHED)
def test_the_tables_are_what_the_evidence_says(experiment, scale):
    folder, report = ROOT / "results" / experiment / scale, reporter(experiment)
    assert (folder / "table.md").read_text() == tables(report, report.read(folder))


def test_the_published_files_stay_small():
    folders = [path.parent for path in (ROOT / "results").glob("*/*/table.md")]
    sizes = [p.stat().st_size for f in folders if "runs" not in f.parts for p in f.iterdir()]
    assert len(sizes) > 10
    assert sum(sizes) < 20_000_000
    assert max(sizes) < 1_000_000
