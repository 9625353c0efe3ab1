"""The ledger: every claim of the paper with the verdict of the committed evidence."""

from dataclasses import dataclass, replace

from bnrepro import ROOT
from bnrepro.config.claims import Claim, read_claims
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.evidence.verdicts import Verdict, corrected, judge
from bnrepro.experiment import Experiment, discover

SCALES = ("paper", "gpu", "small")  # the most telling evidence first


@dataclass(frozen=True)
class Judged:
    """What the committed evidence says of an experiment; without any, evidence is None."""

    experiment: Experiment
    scale: str
    evidence: Evidence | None
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Ledger:
    """All experiments in the paper's order, and the claims that belong to none."""

    experiments: list[Judged]
    beyond: list[Verdict]

    @property
    def verdicts(self) -> list[Verdict]:
        """All verdicts."""
        return [v for judged in self.experiments for v in judged.verdicts] + self.beyond


def read_ledger() -> Ledger:
    """Judge every claim from the committed evidence alone, with Holm's correction over all."""
    return correct(Ledger([judged(stem) for stem in in_papers_order()], beyond()))


def correct(ledger: Ledger) -> Ledger:
    """The ledger with Holm's correction over all of its claims."""
    left = iter(corrected(ledger.verdicts))
    experiments = [
        replace(each, verdicts=[next(left) for _ in each.verdicts]) for each in ledger.experiments
    ]
    return Ledger(experiments, [*left])


def in_papers_order() -> list[str]:
    """The names of all experiments by the section of the paper."""
    return [stem for _, stem in sorted((e.section, stem) for stem, e in discover().items())]


def published(stem: str) -> list[str]:
    """The scales with committed evidence, the most telling first."""
    return [s for s in SCALES if (ROOT / "results" / stem / s / "table.md").exists()]


def judged(stem: str) -> Judged:
    """An experiment's claims by the most telling scale that has evidence."""
    claims, found = read_claims(stem), published(stem)
    evidence = load(stem, found[0]) if found else None
    scale = found[0] if found else "paper"
    verdicts = [judge(claim, evidence, scale) for claim in claims]
    return Judged(discover()[stem], scale, evidence, verdicts)


def beyond() -> list[Verdict]:
    """The claims that no experiment can judge here."""
    return [judge(claim, None, "paper") for claim in read_claims("")]


def figure_of(claim: Claim) -> str | None:
    """The name of the figure that shows a claim: the one it names, or its experiment's first."""
    if not claim["experiment"]:
        return None
    figures = discover()[claim["experiment"]].figures.FIGURES
    return claim.get("figure") or next(iter(figures))
