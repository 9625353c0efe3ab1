"""The report: whole, in the paper's order, and one page without any other file."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bnrepro import ROOT
from bnrepro.config.claims import read_claims
from bnrepro.evidence.ledger import Judged, Ledger, beyond, correct, judged
from bnrepro.evidence.verdicts import judge
from bnrepro.experiment import find
from bnrepro.plots.page import page
from bnrepro.plots.report import caption, chapters, report_text, seed_text, slug
from bnrepro.plots.summary import summary

EXPERIMENTS = ("transform", "covariate_shift", "mnist")
WAITING = "ensemble"  # shown as before its evidence

HEADING = {  # of a verdict, how it begins
    "holds": "Holds",
    "fails": "Fails here",
    "inconclusive": "Inconclusive here",
    "not run": "Not run yet",
    "not testable here": "Not testable here",
}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    first, *others = [each for stem in EXPERIMENTS for each in judged(stem)]
    verdicts = [judge(claim, None, "paper") for claim in read_claims(WAITING)]
    waiting = Judged(find(WAITING), "paper", None, verdicts)
    return correct(Ledger([first, waiting, *others], beyond()))


@pytest.fixture(scope="module")
def text(ledger) -> str:
    return report_text(ledger)


@pytest.fixture(scope="module")
def html(text, tmp_path_factory) -> str:
    return page(text, ROOT / "results", ROOT / "results/runs")


def test_every_claim_is_there_with_its_verdict_and_values(ledger, text):
    for verdict in ledger.verdicts:
        assert f"`{verdict.claim['id']}`" in text
        assert verdict.claim["claim"].strip() in text
        for value in verdict.values[:5]:
            assert f"{value:.4g}" in text


def test_the_first_page_has_every_headline_once_under_its_verdict(ledger):
    first = summary(ledger)
    for verdict in ledger.verdicts:
        if headline := verdict.claim.get("headline"):
            (before, after) = first.split(f"- **{headline}.** ")
            heading = re.findall(r"^\*\*(.*)\*\*$", before, re.M)[-1]
            assert heading.startswith(HEADING[verdict.verdict])
            line = after.splitlines()[0]
            assert ("\\*" in line) == (verdict.corrected != verdict.verdict)


def test_every_figure_stands_there_with_the_words_of_its_function(ledger, text):
    for each in ledger.experiments:
        for name, draw in each.experiment.figures.FIGURES.items():
            path = f"{each.experiment.stem}/{each.scale}/{name}.png"
            if each.evidence is None:
                assert path not in text
            else:
                assert f"![{name}]({path})\n\n*{caption(draw)}*" in text


def test_every_experiment_tells_what_it_does_not_show(ledger, text):
    for verdict in ledger.experiments[-1].verdicts:
        assert " ".join(verdict.claim["not_shown"].split()) in " ".join(text.split())


def test_what_has_no_evidence_is_said_to_have_none(text):
    part = text.split(f"`make {WAITING}`")[1].split("## ")[0]
    assert part.startswith(". Criteria are committed; no evidence is published yet.")
    assert "| --- |" not in part


def test_contents_lead_to_the_chapters(ledger, text, html):
    for title, _ in chapters(ledger):
        assert f"[{title}](#{slug(title)})" in text
        assert f'id="{slug(title)}"' in html


def test_a_caption_is_the_first_paragraph_of_a_docstring():
    def draw() -> None:
        """One sentence
        of 2*3 words.

        Another paragraph.
        """

    assert caption(draw) == "One sentence of 2\\*3 words."
    assert caption(lambda: None) == ""


def test_seeds_in_words():
    assert seed_text([0, 1, 2, 1000]) == "0 to 2, 1000"
    assert seed_text([3]) == "3"
    assert seed_text([]) == "–"


class Reader(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.sources += [found["src"] or ""] if "src" in found else []
        self.links += [found["href"] or ""] if tag == "a" else []


def test_the_page_asks_no_server_and_its_links_lead_somewhere(ledger, html):
    reader = Reader()
    reader.feed(html)
    drawn = [each.experiment.figures.FIGURES for each in ledger.experiments if each.evidence]
    assert len(reader.sources) == sum(map(len, drawn)) == 8
    assert all(source.startswith("data:image/") for source in reader.sources)
    assert not reader.tags & {"script", "link", "iframe"}
    assert "@import" not in html
    assert "url(" not in html
    for link in reader.links:
        path = Path(ROOT / "results/runs" / link)
        assert link.startswith(("#", "https://")) or path.resolve().exists(), link


def test_the_page_escapes_and_marks(tmp_path):
    written = page("# A & B\n\n| v |\n| --- |\n| **fails at scale x** <i> |\n", tmp_path, tmp_path)
    assert "<title>A &amp; B</title>" in written
    assert '<strong class="fails">fails at scale x</strong> &lt;i&gt;' in written
    assert "prefers-color-scheme: dark" in written
    assert "@media print" in written
