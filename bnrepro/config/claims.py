"""The claims of the paper and their criteria, as `configs/<experiment>/claims.yaml` states them.

Each claim has a hash of its own, which goes into the records of the runs that it judges. So a claim
that is added leaves the evidence of the others as it is, and a record proves which criteria were
fixed before its run.
"""

import functools
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from bnrepro import ROOT
from bnrepro.config.compose import variants
from bnrepro.config.identity import digest
from bnrepro.errors import UserError
from bnrepro.experiment import Experiment, find
from bnrepro.files import read_text, reading

# what a claim says without deciding its verdict
WORDS = ("section", "claim", "paper", "kind", "unit", "not_shown", "reason", "experiment")
NEEDED = ("id", "section", "claim", "paper", "metric", "criterion", "n", "kind")
KNOWN = (*WORDS, *NEEDED, "arm", "against", "scale")
Claim = dict[str, Any]


def read_claims(experiment: str) -> list[Claim]:
    """The claims that an experiment decides, each with the experiment's name.

    Raises a UserError that names the file, the claim and the key for what is no claim.
    """
    path = ROOT / "configs" / experiment / "claims.yaml"
    if not path.exists():
        return []
    claims = _read(path)
    place = path.relative_to(ROOT)
    for number, claim in enumerate(claims, start=1):
        if problem := _problem(claim, [other["id"] for other in claims[: number - 1]]):
            name = claim.get("id", f"claim {number}") if isinstance(claim, dict) else number
            raise UserError(f"{place}: {name}: {problem}")
    return [{**claim, "experiment": experiment} for claim in claims]


def _read(path: Path) -> list[Any]:
    with reading(path):
        text = read_text(path)
    try:
        claims = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise UserError(
            f"{path.relative_to(ROOT)}:{line} no YAML ({getattr(error, 'problem', None) or error})"
        ) from None
    if not isinstance(claims, list):
        raise UserError(f"{path.relative_to(ROOT)}: must be a list of claims, each from `- id:`")
    return claims


def _problem(claim: Any, before: list[str]) -> str | None:
    """What is wrong with a claim, whatever the experiment."""
    if not isinstance(claim, dict):
        return "must be a mapping that begins with `id:`"
    if absent := [key for key in NEEDED if key not in claim]:
        return f"has no {', '.join(absent)}"
    for key in claim.keys() - {*KNOWN}:  # others are the metric's
        if near := get_close_matches(str(key), KNOWN, n=1, cutoff=0.75):
            return f"{key}: no such key; did you mean {near[0]}?"
    if claim["id"] in before:
        return "two claims have this id"
    criterion = claim["criterion"]
    sound = isinstance(criterion, Mapping) and (
        criterion.get("over") in ("interval", "sign", "every")
        and criterion.get("op") in ("<", ">")
        and type(criterion.get("value")) in (int, float)
    )
    if not sound:
        return (
            f"criterion {criterion}: must be {{over: interval, sign or every, "
            f'op: "<" or ">", value}}'
        )
    if type(claim["n"]) is not int or claim["n"] < 1:
        return f"n: {claim['n']}: must be a number of seeds"
    return None


def metric(claim: Claim) -> Callable[..., Any]:
    """The function of the experiment's `metrics.py` that a claim's `metric` names.

    Raises a UserError that names claim, file and near matches where there is none.
    """
    metrics, name = find(claim["experiment"]).metrics, claim["metric"]
    known = [key for key, value in vars(metrics).items() if callable(value) and key[0].islower()]
    if name not in known:
        near = get_close_matches(str(name), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        stem = claim["experiment"]
        raise UserError(
            f"configs/{stem}/claims.yaml: {claim['id']}: metric: {name}: no such function in "
            f"experiments/{stem}/metrics.py{hint}"
        )
    function: Callable[..., Any] = getattr(metrics, name)
    return function


def check_claims(experiment: Experiment) -> None:
    """Raise a UserError for what judging the runs would stumble over, before there are any."""
    arms = variants(experiment.stem)
    for claim in read_claims(experiment.stem):
        metric(claim)
        for key in ("arm", "against"):
            if arms != ["sweep"] and claim.get(key, arms[0]) not in arms:
                raise UserError(
                    f"configs/{experiment.stem}/claims.yaml: {claim['id']}: {key}: {claim[key]}: "
                    f"no such arm; there are {', '.join(arms)}"
                )
    criteria(experiment.stem)


def criterion_hash(claim: Claim) -> str:
    """Changes with whatever decides the claim's verdict: metric, criterion, n, arms …"""
    return digest({k: v for k, v in claim.items() if k not in WORDS})


@functools.cache
def criteria(experiment: str) -> dict[str, str]:
    """The hash of every claim of an experiment, by the claim's id, as this process first read it.

    A record must hold the criteria that were fixed before its run, not those at its end.
    """
    return {claim["id"]: criterion_hash(claim) for claim in read_claims(experiment)}
