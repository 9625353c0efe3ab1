"""The claims of the paper and their criteria, as `configs/<experiment>/claims.yaml` states them.

Each claim has a hash of its own, which goes into the records of the runs that it judges. So a claim
that is added leaves the evidence of the others as it is, and a record proves which criteria were
fixed before its run.

A claim that no experiment here can judge says why in `untestable`, and has no metric. Those that
belong to no experiment stand in `configs/claims.yaml`, the claims of the experiment "".
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
from bnrepro.files import parse_yaml, read_text, reading

# what a claim says without deciding its verdict
WORDS = (
    "section", "claim", "paper", "kind", "unit", "not_shown", "reason", "experiment", "headline",
    "figure", "untestable",
)  # fmt: skip
NEEDED = ("id", "section", "claim", "paper", "kind")
JUDGED = ("metric", "criterion", "n")  # needed of a claim that an experiment judges
KNOWN = (*WORDS, *NEEDED, *JUDGED, "arm", "against", "scale", "provided")
Claim = dict[str, Any]


def read_claims(experiment: str) -> list[Claim]:
    """The claims that an experiment decides, each with the experiment's name; "" has its own too.

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
        claims = parse_yaml(text)
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
    needed = NEEDED if "untestable" in claim else (*NEEDED, *JUDGED)
    if absent := [key for key in needed if key not in claim]:
        return f"has no {', '.join(absent)}"
    for key in claim.keys() - {*KNOWN}:  # others are the metric's
        if near := get_close_matches(str(key), KNOWN, n=1, cutoff=0.75):
            return f"{key}: no such key; did you mean {near[0]}?"
    if claim["id"] in before:
        return "two claims have this id"
    if "untestable" in claim:
        idle = [key for key in JUDGED if key in claim]
        return f"untestable, so that {', '.join(idle)} decides nothing" if idle else None
    if problem := _problem_of_criterion(claim["criterion"]):
        return problem
    if "provided" in claim and (problem := _problem_of_condition(claim["provided"])):
        return f"provided: {problem}"
    if type(claim["n"]) is not int or claim["n"] < 1:
        return f"n: {claim['n']}: must be a number of seeds"
    return None


def _problem_of_condition(condition: Any) -> str | None:
    if not isinstance(condition, Mapping) or not {"metric", "arm", "criterion"} <= condition.keys():
        return f"{condition}: must be {{metric, arm, criterion}}"
    return _problem_of_criterion(condition["criterion"])


def _problem_of_criterion(criterion: Any) -> str | None:
    sound = isinstance(criterion, Mapping) and (
        criterion.get("over") in ("interval", "sign", "every")
        and criterion.get("op") in ("<", ">")
        and type(criterion.get("value")) in (int, float)
    )
    known = '{over: interval, sign or every, op: "<" or ">", value}'
    return None if sound else f"criterion {criterion}: must be {known}"


def metric(claim: Claim) -> Callable[..., Any]:
    """The function of the experiment's `metrics.py` that a claim's `metric` names.

    Raises a UserError that names claim, file and near matches where there is none.
    """
    stem, name = claim["experiment"], claim["metric"]
    names = vars(find(stem).metrics).items()
    known = {key: value for key, value in names if callable(value) and key[0].islower()}
    if name not in known:
        near = get_close_matches(str(name), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(
            f"configs/{stem}/claims.yaml: {claim['id']}: metric: {name}: no such function in "
            f"experiments/{stem}/metrics.py{hint}"
        )
    return known[name]


def check_claims(experiment: Experiment) -> None:
    """Raise a UserError for what judging the runs would stumble over, before there are any."""
    arms = variants(experiment.stem)
    claims = [claim for claim in read_claims(experiment.stem) if "untestable" not in claim]
    conditions = [{**claim, **claim["provided"]} for claim in claims if "provided" in claim]
    for claim in claims + conditions:
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
    claims = [claim for claim in read_claims(experiment) if "untestable" not in claim]
    return {claim["id"]: criterion_hash(claim) for claim in claims}
