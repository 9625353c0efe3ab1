"""README, REPORT and claims.json say what the committed evidence says, to the letter."""

import json

import pytest

from bnrepro import ROOT
from bnrepro.config import compose
from bnrepro.config.claims import criteria, read_claims
from bnrepro.config.identity import config_hash
from bnrepro.evidence import load
from bnrepro.experiment import find, stems
from bnrepro.plots.claims import WORDS
from bnrepro.plots.render import table_file
from scripts.report import documents
from tests.drawing import more, some

DOCUMENTS = ("README.md", "results/REPORT.md", "results/claims.json")
PUBLISHED = [
    (stem, path.parent.name)
    for stem in stems()
    for path in sorted((ROOT / "results" / stem).glob("*/table.md"))
]
QUICK = [("jacobian", "small"), ("ablation", "small")]
REPORTED = json.loads((ROOT / "results/claims.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return documents()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_what_the_script_writes(path, written):
    assert set(written) == set(DOCUMENTS)
    assert (ROOT / path).read_text("utf-8") == written[path], "run `make report` and commit"


@pytest.mark.parametrize(("experiment", "scale"), some(reversed(PUBLISHED), 5))
def test_evidence_comes_from_the_named_config_and_clean_commits(experiment, scale):
    runs = load(experiment, scale).runs
    assert runs
    for row in runs:
        cfg = compose(experiment, [f"scale={scale}", f"variant={row['variant']}"])
        if hasattr(cfg, "processes"):
            cfg.processes = row.get("processes") or 1
        assert row["config_hash"] == config_hash(cfg, row["data_checksum"]), row["variant"]
        assert row["commit"]
        assert row["dirty"] is False


@pytest.mark.parametrize(("experiment", "scale"), PUBLISHED)
def test_the_report_marks_every_claim_whose_criterion_was_not_fixed_before_the_runs(
    experiment, scale
):
    fixed = {(row["claim"], row["hash"]) for row in load(experiment, scale).criteria}
    reported = {
        entry["id"]: entry["fixed_before"]
        for entry in REPORTED
        if (entry["experiment"], entry["scale"]) == (experiment, scale) and entry["metric"]
    }
    now = criteria(experiment)
    assert reported == {claim: (claim, now[claim]) in fixed for claim in reported}


def test_every_claim_is_in_the_report_once():
    claims = [claim["id"] for stem in ("", *stems()) for claim in read_claims(stem)]
    assert len(set(claims)) == len(claims) > 0
    assert sorted(entry["id"] for entry in REPORTED) == sorted(claims)


def test_what_the_report_judges_has_committed_evidence():
    judged = {(e["experiment"], e["scale"]) for e in REPORTED if e["values"]}
    assert judged
    assert judged <= set(PUBLISHED)


def test_the_readme_s_table_counts_what_claims_json_says():
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.split("<!-- begin verdicts -->\n")[1].split("\n<!-- end verdicts -->")[0]
    header, _, *rows = (
        [c.strip() for c in row.strip("|").split("|")] for row in table.splitlines()
    )
    counted = {}
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        counted[cells["section"]] = {word: int(cells[word]) for word in WORDS if int(cells[word])}
    said: dict[str, dict[str, int]] = {}
    for entry in REPORTED:
        section = find(entry["experiment"]).section if entry["experiment"] else max(counted)
        section = ".".join(section.split(".")[:2])
        words = said.setdefault(section, {})
        words[entry["verdict"]] = words.get(entry["verdict"], 0) + 1
    assert counted == said


@pytest.mark.parametrize(
    ("experiment", "scale"), [*QUICK, *more(*(p for p in PUBLISHED if p not in QUICK))]
)
def test_the_tables_are_what_the_evidence_says(experiment, scale):
    text = (ROOT / "results" / experiment / scale / "table.md").read_text("utf-8")
    assert text == table_file(find(experiment), load(experiment, scale))


@pytest.mark.parametrize(("experiment", "scale"), PUBLISHED)
def test_every_figure_is_committed_and_no_file_is_left_over(experiment, scale):
    folder = ROOT / "results" / experiment / scale
    figures = {f"{n}.{kind}" for n in find(experiment).figures.FIGURES for kind in ("png", "svg")}
    found = {path.name for path in folder.iterdir()}
    assert {name for name in found if not name.endswith((".csv", ".csv.gz"))} == {
        "table.md",
        "sha256.txt",
        *figures,
    }
    assert "runs.csv" in found


def test_the_published_files_stay_small():
    sizes = [
        path.stat().st_size
        for experiment, scale in PUBLISHED
        for path in (ROOT / "results" / experiment / scale).iterdir()
    ]
    assert len(sizes) > 10
    assert sum(sizes) < 20_000_000
    assert max(sizes) < 1_000_000
