"""From a command line to an experiment's `measure.run`, and from any user error to one line."""

import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bnrepro import ROOT
from bnrepro.config.compose import HYDRA_VERSION, register, validate
from bnrepro.errors import UserError
from bnrepro.experiment import Experiment, stems
from bnrepro.run import ranks

USER_ERRORS = (UserError, HydraException, OmegaConfBaseException)


def command(experiment: Experiment) -> Callable[[], None]:
    """The command line of an experiment: Hydra composes its config, `measure.run` does the work.

    Every error that a user can cause ends in one line and status 2.
    """

    def job(node: DictConfig) -> None:
        run_job(functools.partial(_start, experiment, node))

    def main() -> None:
        logging.basicConfig(format="%(message)s")
        # of data-parallel processes the first one logs
        logging.getLogger().setLevel(logging.INFO if ranks.leads() else logging.WARNING)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to guard() instead of being printed
        register()
        configs = str(ROOT / "configs")
        application = hydra.main(
            version_base=HYDRA_VERSION, config_path=configs, config_name=experiment.stem
        )
        guard(application(job))

    return main


def _start(experiment: Experiment, node: DictConfig) -> None:
    cfg: Any = OmegaConf.to_object(node)
    validate(cfg)
    if not _is_sweep() and not HydraConfig.get().launcher._target_.endswith("BasicLauncher"):
        raise UserError("launcher=… starts the jobs of -m: python -m experiments.… -m … launcher=…")
    experiment.measure.run(cfg)


def run_job(work: Callable[[], object]) -> None:
    """Run one job of Hydra's, which turns exceptions into results.

    The other jobs of a sweep go on, and at the end the command raises the first job's error. One of
    several data-parallel processes that fails ends at once, for the launcher to end the others.
    """
    try:
        work() if _is_sweep() else guard(work)
    except USER_ERRORS as error:
        print(f"error: {explain(error)}", file=sys.stderr)  # now: the end may be hours away
        if ranks.world() > 1:
            raise SystemExit(2) from None
        raise UserError(explain(error)) from None
    except Exception:
        if not _is_sweep() and ranks.world() == 1:
            raise
        traceback.print_exc()  # now: Hydra keeps the first job's for the end, the others' never
        if ranks.world() > 1:
            raise SystemExit(1) from None
        raise


def _is_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def arguments(what: str) -> list[str]:
    """The command line, whose first word names an experiment that exists."""
    if len(sys.argv) < 2 or sys.argv[1] not in stems():
        raise UserError(f"name {what}; experiments are {', '.join(stems())}")
    return sys.argv[1:]


def guard(work: Callable[[], object]) -> None:
    """Run something; print a user error as one line and exit with status 2."""
    try:
        work()
    except USER_ERRORS as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        again = "run the same command again, without force=true, to resume"
        print(f"interrupted: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if (line := _explain_foreign(error)) is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2) from None


def _explain_foreign(error: Exception) -> str | None:
    """One line for an error that Hydra or a launcher raises as any other; None for all others."""
    if str(error).startswith("Config group override must be"):  # it does not say which
        return "a key names an experiment, not a setting; give its section, as in optim.lr=0.1"
    if 'Could not detect "srun"' in str(error):
        return "launcher=slurm: no Slurm here; try it with launcher=submitit_local"
    if type(error).__module__.startswith("submitit"):
        last = str(error).strip().splitlines()[-1].removeprefix("error: ")
        return f"a job ended without a result: {last}; logs: .submitit/ in the sweep's folder"
    return None


def explain(error: BaseException) -> str:
    """One line: what is wrong, where, what is allowed."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    user = next((e for e in chain if isinstance(e, UserError)), None)
    if user is not None:
        return str(user)
    omega = next((e for e in chain if isinstance(e, OmegaConfBaseException)), None)
    if omega is not None and omega.full_key:
        return _explain_key(omega)
    text = str(error).split("Config search path")[0]  # where Hydra looked helps nobody
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)


def _explain_key(error: OmegaConfBaseException) -> str:
    key = str(error.full_key)
    kind = error.object_type
    allowed = [f.name for f in fields(kind)] if kind and is_dataclass(kind) else []
    if error.key is not None and str(error.key) not in allowed and allowed:
        near = get_close_matches(str(error.key), allowed, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{key}: no such key{hint}; allowed here are {', '.join(allowed)}"
    return f"{key}: {str(error.msg or error).splitlines()[0]}"
