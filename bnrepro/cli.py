"""From a command line to an experiment's `main(cfg)`, and from any user error to one clear line."""

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
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bnrepro.config import HYDRA_VERSION, ROOT, register
from bnrepro.config.validation import validate
from bnrepro.errors import UserError
from bnrepro.run import processes

USER_ERRORS = (UserError, HydraException, OmegaConfBaseException)


def application(experiment: str) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Turn `main(cfg)` into a command: Hydra in front, one clear line for every user error."""

    def decorate(task: Callable[[Any], None]) -> Callable[[], None]:
        @functools.wraps(task)
        def job(node: DictConfig) -> None:
            run_job(functools.partial(_checked, task, node))

        def command() -> None:
            logging.basicConfig(format="%(message)s")
            # of data-parallel processes the first one tells
            logging.getLogger().setLevel(logging.INFO if processes.leads() else logging.WARNING)
            os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to guard() instead of being printed
            register()
            main = hydra.main(
                version_base=HYDRA_VERSION,
                config_path=str(ROOT / "configs"),
                config_name=experiment,
            )
            guard(main(job))

        return command

    return decorate


def run_job(command: Callable[[], object]) -> None:
    """Run one job of Hydra's, which turns exceptions into results: the other jobs of a sweep go on,
    and at the end the command tells the first job's error. But one of several processes that fails
    has to end, for the launcher to end the others."""
    try:
        command() if _is_sweep() else guard(command)
    except USER_ERRORS as error:
        print(f"error: {explain(error)}", file=sys.stderr)  # now: the end may be hours away
        if processes.world() > 1:
            raise SystemExit(2) from None
        raise UserError(explain(error)) from None
    except Exception:
        if not _is_sweep() and processes.world() == 1:
            raise
        traceback.print_exc()  # now: Hydra keeps the first job's for the end, the others' never
        if processes.world() > 1:
            raise SystemExit(1) from None
        raise


def _is_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _checked(task: Callable[[Any], None], node: DictConfig) -> None:
    cfg: Any = OmegaConf.to_object(node)
    validate(cfg)
    if not _is_sweep() and not HydraConfig.get().launcher._target_.endswith("BasicLauncher"):
        raise UserError("launcher=… starts the jobs of -m: python -m experiments.… -m … launcher=…")
    task(cfg)


def arguments(what: str) -> list[str]:
    """The command line, whose first word names an experiment that exists."""
    stems = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/__init__.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in stems:
        raise UserError(f"name {what}; experiments are {', '.join(stems)}")
    return sys.argv[1:]


def guard(command: Callable[[], object]) -> None:
    """Run a command; print a user error as one line and exit with status 2."""
    try:
        command()
    except USER_ERRORS as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        again = "run the same command again, without force=true, to resume"
        print(f"interrupted: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if (line := _launchers_word(error)) is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2) from None


def _launchers_word(error: Exception) -> str | None:
    """One line for what a launcher has to say; None for any other error."""
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
    told = str(error).split("Config search path")[0]  # where Hydra looked helps nobody
    lines = [line.strip() for line in told.splitlines() if line.strip()]
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


def resolve_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # streams and graphs are of the current one
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name}: not usable here ({str(error).splitlines()[0]})") from None
    return device


def set_up_torch(cfg: Any) -> torch.device:
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    torch.set_flush_denormal(True)  # saturated sigmoids would otherwise slow the products down
    # glibc keeps freed blocks below the largest one it has seen freed (up to 32 MiB), instead of
    # handing every step's activations back to the system and asking for them anew.
    torch.empty(8_000_000)
    return resolve_device(cfg.device)
