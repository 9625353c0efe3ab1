"""What an error that a user can cause says: one line with what is wrong, where, what to do."""

import re
import traceback
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches

import yaml
from hydra.errors import HydraException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from bnrepro import ROOT
from bnrepro.entry import missing_package
from bnrepro.errors import UserError
from bnrepro.files import read_text

MEMORY = ("can't allocate memory", "out of memory", "Unable to allocate", "Cannot allocate memory")
LOST = ("TerminatedWorkerError", "BrokenProcessPool")  # a worker process, in joblib's words


def explain(error: BaseException) -> str | None:
    """The line; None for an error that is no user's, which keeps its traceback."""
    chain = list(_causes(error))
    for explained in (e for e in chain if isinstance(e, UserError)):
        return str(explained)
    for omega in (e for e in chain if isinstance(e, OmegaConfBaseException) and e.full_key):
        return _explain_key(omega)
    for each in chain:
        if line := _explain_surroundings(each):
            return line
    if isinstance(error, HydraException | OmegaConfBaseException) or _raised_by_hydra(error):
        return " ".join(dict.fromkeys(map(_explain_hydra, chain)))
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _explain_key(error: OmegaConfBaseException) -> str:
    key = str(error.full_key)
    kind = error.object_type
    allowed = [f.name for f in fields(kind)] if kind and is_dataclass(kind) else []
    if error.key is not None and str(error.key) not in allowed and allowed:
        near = get_close_matches(str(error.key), allowed, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{key}: no such key{hint}; allowed here are {', '.join(allowed)}"
    if isinstance(error, MissingMandatoryValue):
        return f"{key}: has no value"
    if "is not Optional" in str(error):
        return f"{key}=null: needs a value"
    if "is not a ListConfig" in str(error):
        return f"{key}: a list is needed, written [1,2]"
    return f"{key}: {str(error.msg or error).splitlines()[0]}"


def _explain_surroundings(error: BaseException) -> str | None:
    """One line for what the machine, the disk or a launcher refuses."""
    if line := missing_package(error):
        return line
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"{mark.name}: line {mark.line + 1}: no YAML ({error.problem})"
    if isinstance(error, UnicodeDecodeError):
        return _not_utf_8()
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}; check the path, its permissions and the space on the disk"
    text = _one_line(str(error))
    if isinstance(error, MemoryError) or any(words in text for words in MEMORY):
        return f"out of memory ({text[:120]}); choose smaller networks, mini-batches or images"
    if type(error).__name__ in LOST:
        return "a worker process was killed, for want of memory perhaps; run the same command again"
    if type(error).__name__ in ("DistNetworkError", "DistStoreError"):
        return f"the processes of this run do not find each other ({text[:160]}); check MASTER_ADDR"
    return _explain_launcher(error)


def _not_utf_8() -> str | None:
    """One line that names the config file of another encoding; None: there is none."""
    try:
        for path in sorted((ROOT / "configs").rglob("*.yaml")):
            read_text(path)
    except UserError as error:
        return str(error)
    return None


def _explain_launcher(error: BaseException) -> str | None:
    """One line for the failure of a launcher; None for any other error."""
    if str(error).startswith("Config group override must be"):  # it does not say which
        return "a key names an experiment, not a setting; give its section, as in optim.lr=0.1"
    if 'Could not detect "srun"' in str(error):
        return "launcher=slurm: no Slurm here; try it with launcher=submitit_local"
    if type(error).__module__.startswith("submitit"):
        said = [line for line in str(error).splitlines() if any(map(str.isalpha, line))]
        last = said[-1].strip().removeprefix("error: ") if said else type(error).__name__
        return f"a job ended without a result: {last}; logs: .submitit/ in the sweep's folder"
    return None


def _raised_by_hydra(error: BaseException) -> bool:
    """Whether Hydra's code raised it, about its own options; a job's error comes from ours."""
    frames = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].split(".")[0] == "hydra"


def _explain_hydra(error: BaseException) -> str:
    text = str(error).split("Config search path")[0].split("See https://")[0]  # these help nobody
    no_name = r"In '((variant|scale)/(\S+))': Validation.*Cannot convert 'DictConfig' to string"
    if match := re.match(no_name, text, re.DOTALL):
        path, key, name = match.groups()
        return f"{path}.yaml: must begin with `# @package _global_`, and then `{key}: {name}`"
    return _one_line(text).replace("\\'", "'") or f"Hydra: {type(error).__name__}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
