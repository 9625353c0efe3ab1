"""The ledger: every claim of the paper with the verdict of the committed evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bnrepro import ROOT
from bnrepro.config.claims import Claim, read_claims
from bnrepro.evidence.evidence import Evidence, load
from bnrepro.evidence.verdicts import Verdict, corrected, judge
from bnrepro.experiment import Experiment, discover

SCALES = ("paper", "gpu", "small")  # the most telling evidence first


@dataclass(frozen=True)
class Judged:
    """What the evidence of one scale says of an experiment; without any, evidence is None."""

    experiment: Experiment
    scale: str
    evidence: Evidence | None
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Ledger:
    """All experiments in the paper's order, once for each scale, and the claims of none."""

    experiments: list[Judged]
    beyond: list[Verdict]

    @property
    def verdicts(self) -> list[Verdict]:
        """All verdicts."""
        return [v for judged in self.experiments for v in judged.verdicts] + self.beyond


def read_ledger() -> Ledger:
    """Judge every claim from the committed evidence alone, with Holm's correction over all."""
    return correct(Ledger([each for stem in in_papers_order() for each in judged(stem)], beyond()))


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


def judged(stem: str) -> list[Judged]:
    """An experiment's claims by scale: the one they name, or the most telling that can judge them.

    A scale whose evidence judges no claim follows, for what it shows.
    """
    tables = sorted((ROOT / "results" / stem).glob("*/table.md"))
    others = [path.parent.name for path in tables if path.parent.name not in SCALES]
    by_scale: dict[str, list[Claim]] = {s: [] for s in [*published(stem), *others] or ["paper"]}
    for claim in read_claims(stem):
        by_scale.setdefault(claim.get("scale") or scale_of(stem, claim), []).append(claim)
    return [
        at_scale(stem, scale, claims)
        for scale, claims in sorted(by_scale.items(), key=lambda item: not item[1])
    ]


def scale_of(stem: str, claim: Claim) -> str:
    """The most telling scale with as many seeds as the claim asks for; else the last with
    evidence."""
    *telling, last = published(stem) or ["paper"]
    return next((scale for scale in telling if has_seeds(stem, scale, claim.get("n", 1))), last)


def has_seeds(stem: str, scale: str, count: int) -> bool:
    """Whether committed evidence has so many seeds; a sweep has its seeds in its cells."""
    seeds = {run.get("seed") for run in load(stem, scale).runs}
    return None in seeds or len(seeds) >= count


def at_scale(stem: str, scale: str, claims: Sequence[Claim]) -> Judged:
    """These claims by the evidence of one scale."""
    there = (ROOT / "results" / stem / scale / "table.md").exists()
    evidence = load(stem, scale) if there else None
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
